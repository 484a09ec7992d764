"""Between a page and an experiment: the server and its guard, requests, frames, the trainer."""
