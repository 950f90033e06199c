"""Tests of one module each: no I/O, fast."""
