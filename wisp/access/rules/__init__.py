"""The firewall rules that act on the address lists: what they should be, what stands on a router, putting them there.

``wanted`` says what belongs there and ``comparing`` how what stands differs from it; both are pure, as are
``script`` (the same as text to paste) and ``checks`` (verdicts). ``talk`` is the conversation with the router.
"""
