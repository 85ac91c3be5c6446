"""The plugin author's kit: pytest fixtures over a small lab, and the contract that every plugin keeps.

Only pytest imports this room; `tobs` itself needs no pytest.
"""
