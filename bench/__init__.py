"""`python -m bench`: measures what the README promises, each number beside a raw baseline of the same run."""
