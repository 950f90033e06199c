"""Reports of what was found wrong: one value, and one module for each format. They know nothing of Hyper-V."""
