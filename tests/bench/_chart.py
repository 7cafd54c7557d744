# SPDX-License-Identifier: BSD-3-Clause
"""The goals as a chart: a bar each, scaled so that all goals lie on one line; a longer bar is better."""
from xml.sax.saxutils import escape

LEFT, RIGHT, ROW, TOP, GOAL = 390, 160, 22, 46, 220
WIDEST = 2.0  # a bar ends here, and its number says the rest
STYLE = """
text { font: 12px sans-serif; fill: #1c2733 } .n { font-weight: bold } .g { fill: #5b6875 }
.met { fill: #2f7d4f } .not { fill: #c4682b } .line { stroke: #1c2733; stroke-width: 1.5; stroke-dasharray: 4 3 }
.bg { fill: #ffffff } .track { fill: #eef1f4 }
"""


def value(v):
    if v < 0.001:
        return "< 0.001"
    return f"{v:.3g}" if v < 1000 else f"{v:.0f}"


def reached(g):
    """1.0 is the goal."""
    if g["least"] is not None:
        return g["value"] / g["least"]
    return g["most"] / g["value"] if g["value"] else WIDEST


def bar(y, g):
    share = min(max(reached(g), 0), WIDEST)
    bound = f"≥ {g['least']:g}" if g["least"] is not None else f"≤ {g['most']:g}"
    wide = WIDEST * GOAL
    kind = "met" if g["met"] else "not"
    return [f'<text x="{LEFT - 8}" y="{y + 14}" text-anchor="end">{escape(g["title"])}</text>',
            f'<rect class="track" x="{LEFT}" y="{y + 3}" width="{wide:.0f}" height="{ROW - 7}"/>',
            f'<rect class="{kind}" x="{LEFT}" y="{y + 3}" width="{share * GOAL:.1f}" height="{ROW - 7}"/>',
            f'<text class="n" x="{LEFT + wide + 8:.0f}" y="{y + 14}">{value(g["value"])}</text>',
            f'<text class="g" x="{LEFT + wide + 64:.0f}" y="{y + 14}">{bound} {"✓" if g["met"] else "✗"}</text>']


def goals(found):
    rows = [g for g in found["goals"] if g["value"] is not None]
    width, height = LEFT + int(WIDEST * GOAL) + RIGHT, TOP + ROW * len(rows) + 14
    m = found["machine"]
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
           f'viewBox="0 0 {width} {height}">', f"<style>{STYLE}</style>",
           f'<rect class="bg" width="{width}" height="{height}"/>',
           f'<text class="g" x="12" y="18">{escape(m["cpu"])}, kernel {escape(m["kernel"])}, '
           f'{m["date"]}: longer is better</text>',
           f'<text class="g" x="{LEFT + GOAL}" y="{TOP - 8}" text-anchor="middle">goal</text>']
    for n, g in enumerate(rows):
        out += bar(TOP + n * ROW, g)
    out += [f'<line class="line" x1="{LEFT + GOAL}" x2="{LEFT + GOAL}" y1="{TOP - 3}" y2="{height - 10}"/>', "</svg>"]
    return "\n".join(out) + "\n"
