"""Benchmarks, side by side with a peer in the same run. They report ratios: machines differ, and are noisy."""
