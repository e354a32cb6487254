"""The sentences of the pages, each in every language, by page.

catalogue ──▶ frame, notices, and a module for each page ──▶ phrases
"""
