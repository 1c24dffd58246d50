"""A workload of one's own: shoppers who buy again what they bought before."""
