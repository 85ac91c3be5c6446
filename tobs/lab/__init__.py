"""A local Telegram: content from a seed, data centres, limits, and the truth to check an export against.

`scenario.load` reads what to serve, `world.build` makes it, `truth.truth` says what an archive of it must
hold and `limit.limit` how fast any client could be.
"""
