"""The live loop: every slot planned by the clock, published and settled."""
