"""The hot room: the graph of strategies, their baselines, and the run that drives them."""
