"""An experiment: its settings, its data and models, how it trains, what it leaves behind.

Nothing here knows a page or a server.
"""
