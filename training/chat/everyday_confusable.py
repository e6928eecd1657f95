"""Everyday prompts in words that the model knows in another sense, and prompts that quote.

To run, to start, a size, a key, a good morning: with the domain's words alone a small model answers from its
domain. The last fifth of each list is held out.
"""

from __future__ import annotations

CONFUSABLE_KNOWING = (
    'what does (the word |)"{word}" mean(| in English)?',
    "what does (the phrase|the idiom) '{sentence}' mean?",
    'where does (the word|the name|the phrase) "{word}" come from?',
    (
        "how many (teeth|hearts|players|strings|colours|weeks|cards|minutes|wheels) (does a {thing}|do "
        "{thing}s|are in a deck|are in a year) (have|need|)?"
    ),
    "how (big|large|small|old) is (the moon|a {thing}|{place}|the largest {thing}|the brain|Texas)?",
    "what is the (size|status|price|key|weight|root) of (a {thing}|{place}|{subject})?",
    "who (made|built|created|trained) (the pyramids|{place}|the first {thing}|{person})?",
    "what is a (fashion|role|car) model?",
    "solve (for y|for z|the equation|for n): {n}(y|z|n) (+|-) {n} = {big}",
    "what is ({n}|{big}) (divided by|to the power of|percent of) {big}?",
    (
        "how does (a port|a river|a stream|a key|a route|the electric grid|an election|a header in "
        "football) work?"
    ),
    (
        "which (planet|country|{thing}|colour|food|fruit|metal) (has|contains|gives) the most "
        "(moons|people|vitamins|{food}|water)?"
    ),
    "what is (in|the vitamin content of) {food}?",
    "how long (should|do) i (rest|wait|run|boil|bake|stream) {food}?",
    "what is the (first|last|hottest|coldest) (day|hour|month|morning) of (the year|spring|{place})?",
)
CONFUSABLE_WRITING = (
    (
        "write a (farewell|welcome|good morning|greeting|thank you|hello) (message|card|note|speech) "
        "(to|for) my (boss|team|{thing}|neighbours)"
    ),
    (
        "write a (positive|motivating|funny|{adj}) (quote|message|line|thought) for (a Sunday|the "
        "evening|a {adj} morning|today)"
    ),
    '(use|write a sentence with|make a sentence with) the word "{word}"',
    '(find|give me) a word that rhymes with "{word}"',
    (
        "write a (python|javascript|bash) (script|program) that (sorts|copies|deletes|converts|lists) "
        "(all |)my (files|songs|emails|pictures)"
    ),
    (
        "(think of|picture|imagine) (you are|being) a (sailor|king|{thing}|pirate captain|farmer) and "
        "(tell|write) (about your day|a letter home|what you see)"
    ),
    "give me (arguments for and against|the good and bad sides of|reasons for) {subject}",
    (
        "(list|give me) (the |some |)(advantages and disadvantages|pros and cons) of (a "
        "{thing}|{subject}|{doing})"
    ),
)
CONFUSABLE_DOING = (
    'translate "{sentence}" (into|to) {language}',
    'how do you say "{word}" in {language}?',
    'say "{sentence}" in {language}',
    'is "{sentence}" correct?',
    '(correct|rewrite|shorten) "{sentence}"',
)
CONFUSABLE_HELPING = (
    (
        "i want to (start|begin|try) (swimming|painting|dancing|cycling|a diet|yoga|cooking), "
        "(where|how) do i (start|begin)?"
    ),
    (
        "how (do|can) i (start|run|stop|set up) (a {thing} shop|a band|smoking|a club|my day|an old "
        "engine|worrying|a garden)?"
    ),
    "how do i (get over|deal with|survive) (a divorce|a breakdown|losing my {thing}|{trouble})?",
    "when (should|do|can) i (plant|pick|prune|sow|harvest) (roses|{food}|garlic|my lawn|apple trees)?",
    "how (do|can) i (stop|quit) (eating {food}|chewing my pen|snoring|grinding my teeth|{subject})?",
    (
        "(give me|make) a {n} (day|week) (training|exercise|diet|study) (plan|routine) (at home|without "
        "a gym|for beginners)"
    ),
    (
        "how do i (drop|reach|keep|add|remove) (a few kilos|my goals|a lane|more {food} to my diet|a "
        "sofa cover)?"
    ),
    "(show|tell|teach) me how to (tie|fold|draw|carve|whistle|braid) (a knot|a napkin|a {thing}|hair)?",
)
