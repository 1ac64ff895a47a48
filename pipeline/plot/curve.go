package plot

import (
	"fmt"
	"strings"
)

// curve draws one into a chart.
type curve struct {
	out    *strings.Builder
	x, y   scale
	colour int
}

// place is where a point is, from the top left of the chart.
type place struct{ x, y, high, low float64 }

// stretches are the places of points, in parts between gaps.
func (c curve) stretches(points []Point) (parts [][]place) {
	open := false
	for _, p := range points {
		x, okX := c.x.at(p.X)
		y, okY := c.y.at(p.Y)
		if !okX || !okY {
			open = false
			continue
		}
		at := place{x, c.y.pixels - y, c.y.pixels - y, c.y.pixels - y}
		if sd := deviation(p); sd > 0 {
			if high, ok := c.y.at(p.Y + sd); ok {
				at.high = c.y.pixels - high
			}
			at.low = c.y.pixels
			if low, ok := c.y.at(p.Y - sd); ok {
				at.low = c.y.pixels - low
			}
		}
		if !open {
			parts = append(parts, nil)
		}
		open = true
		parts[len(parts)-1] = append(parts[len(parts)-1], at)
	}
	return parts
}

func (c curve) draw(kind Kind, points []Point) {
	for _, part := range c.stretches(points) {
		switch kind {
		case Errors:
			c.errors(part)
		case Steps:
			c.steps(part)
		case Band:
			c.band(part)
			c.line(part)
		default:
			c.line(part)
		}
	}
}

func (c curve) line(part []place) {
	if len(part) == 1 {
		fmt.Fprintf(c.out, `<circle class="k%d" cx="%.1f" cy="%.1f" r="2"/>`, c.colour, part[0].x, part[0].y)
		return
	}
	fmt.Fprintf(c.out, `<path class="k%d line" d="`, c.colour)
	for i, p := range part {
		fmt.Fprintf(c.out, "%c%.1f %.1f", "ML"[min(i, 1)], p.x, p.y)
	}
	c.out.WriteString(`"/>`)
}

// steps are level from each place to the next; the last is as long as the one before.
func (c curve) steps(part []place) {
	last := part[len(part)-1]
	end := last.x + 2
	if n := len(part); n > 1 {
		end = last.x + (last.x - part[n-2].x)
	}
	fmt.Fprintf(c.out, `<path class="k%d line" d="M%.1f %.1f`, c.colour, part[0].x, part[0].y)
	for _, p := range part[1:] {
		fmt.Fprintf(c.out, "H%.1fV%.1f", p.x, p.y)
	}
	fmt.Fprintf(c.out, `H%.1f"/>`, min(end, c.x.pixels))
}

func (c curve) band(part []place) {
	fmt.Fprintf(c.out, `<path class="k%d band" d="`, c.colour)
	for i, p := range part {
		fmt.Fprintf(c.out, "%c%.1f %.1f", "ML"[min(i, 1)], p.x, p.high)
	}
	for i := len(part) - 1; i >= 0; i-- {
		fmt.Fprintf(c.out, "L%.1f %.1f", part[i].x, part[i].low)
	}
	c.out.WriteString(`Z"/>`)
}

func (c curve) errors(part []place) {
	for _, p := range part {
		fmt.Fprintf(c.out, `<path class="k%d line" d="M%.1f %.1fV%.1f"/><circle class="k%d" cx="%.1f" cy="%.1f" r="1.6"/>`, c.colour, p.x, p.high, p.low, c.colour, p.x, p.y)
	}
}
