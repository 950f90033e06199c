"""What operations ask and transports carry: calls and answers, within limits, and what a refusal means in general."""
