"""The throwaway server: made, found again, swept. Starts and kills servers."""
