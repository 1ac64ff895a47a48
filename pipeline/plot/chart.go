package plot

import (
	"fmt"
	"io"
	"math"
	"strings"

	"tsrun/pipeline/text"
)

// Kind is how a curve is drawn.
type Kind int

const (
	Line   Kind = iota // from point to point
	Steps              // level from a point's place to that of the next
	Band               // Y plus and minus SD, filled, and the line
	Errors             // a mark at each point, and a bar of plus and minus SD
)

// Curve is one of a chart.
type Curve struct {
	Name   string // in the key; "": not in it
	Kind   Kind
	Points []Point // in order of X
}

// Span is a part of the X axis that is shaded.
type Span struct {
	Name     string
	From, To float64
}

// Chart is a picture of curves over one axis.
type Chart struct {
	Title     string
	X, Y      Axis
	Curves    []Curve
	Shaded    []Span
	Simulated bool   // SIMULATED stands in the picture
	Empty     string // what stands in it where there is nothing to draw
}

const (
	width, height            = 720, 300 // pixels of a chart
	left, right, top, bottom = 78, 16, 44, 46
)

// manyPoints are those of all curves of a chart.
const manyPoints = 3 * MaxPoints

// Style is what pictures look like, light and dark, for a page that holds several.
const Style = `.plot{max-width:100%;height:auto;font:12px sans-serif}.plot .bg{fill:#fff}.plot text{fill:#222}.plot .grid{stroke:#ddd}.plot .axis{stroke:#555;fill:none}` +
	`.plot .t{font-weight:bold;font-size:13px}.plot .sim{fill:#b00020;font-weight:bold}.plot .shade{fill:#2a9d5c;opacity:.15}.plot .line{fill:none;stroke-width:1.4}` +
	`.plot .band{opacity:.25;stroke:none}.plot .k0{stroke:#1f5fbf;fill:#1f5fbf}.plot .k1{stroke:#c2410c;fill:#c2410c}.plot .k2{stroke:#15803d;fill:#15803d}` +
	`.plot .k3{stroke:#7e22ce;fill:#7e22ce}.plot .k4{stroke:#0e7490;fill:#0e7490}.plot .k5{stroke:#854d0e;fill:#854d0e}.plot .line{fill:none}` +
	`.plot .bar{fill:#7aa7e0}.plot .bar1{fill:#a8c6ee}.plot .gap{fill:#c2410c}.plot .mark{stroke:#15803d;stroke-width:2}` +
	`@media(prefers-color-scheme:dark){.plot .bg{fill:#16181d}.plot text{fill:#e6e6e6}.plot .grid{stroke:#333842}.plot .axis{stroke:#9aa0aa}.plot .sim{fill:#ff6b7d}` +
	`.plot .k0{stroke:#7ab0ff;fill:#7ab0ff}.plot .k1{stroke:#ff9e6b;fill:#ff9e6b}.plot .k2{stroke:#6fd08f;fill:#6fd08f}.plot .k3{stroke:#cf9bff;fill:#cf9bff}` +
	`.plot .k4{stroke:#63cfe0;fill:#63cfe0}.plot .k5{stroke:#e0b45c;fill:#e0b45c}.plot .line{fill:none}.plot .bar{fill:#3b6fb0}.plot .bar1{fill:#2d5486}.plot .gap{fill:#ff9e6b}.plot .mark{stroke:#6fd08f}}`

// Picture is what can be drawn as SVG.
type Picture interface {
	draw(out *strings.Builder)
	size() (w, h int)
	about() string
}

// SVG writes a picture into a page that has [Style].
func SVG(w io.Writer, p Picture) error { return write(w, p, "") }

// File writes a picture as a file of its own.
func File(w io.Writer, p Picture) error {
	return write(w, p, "<style>"+Style+"</style>")
}

func write(w io.Writer, p Picture, style string) error {
	var out strings.Builder
	wide, high := p.size()
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" class="plot" viewBox="0 0 %d %d" width="%d" height="%d" role="img"><title>%s</title>%s<rect class="bg" width="%d" height="%d"/>`,
		wide, high, wide, high, Escape(p.about()), style, wide, high)
	p.draw(&out)
	out.WriteString("</svg>\n")
	_, err := io.WriteString(w, out.String())
	return err
}

// escaper is for texts and quoted attributes of SVG and HTML.
var escaper = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&#34;", "'", "&#39;", "\x00", "\uFFFD")

// Escape makes a text of anybody one that stands in SVG or HTML as it is, on one line.
func Escape(s string) string {
	return escaper.Replace(text.Printable(strings.ToValidUTF8(s, "\uFFFD")))
}

func (c Chart) size() (w, h int) { return width, height }

func (c Chart) about() string {
	if c.Simulated {
		return c.Title + " (SIMULATED)"
	}
	return c.Title
}

func (c Chart) draw(out *strings.Builder) {
	heading(out, c.Title, c.Simulated, width)
	curves := make([][]Point, len(c.Curves))
	for i, k := range c.Curves {
		curves[i] = reduced(k.Points, min(MaxPoints, manyPoints/len(c.Curves)))
	}
	x, y, ok := c.scales(curves)
	if !ok {
		empty := c.Empty
		if empty == "" {
			empty = "there is nothing to show"
		}
		fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="middle">%s</text>`, width/2, height/2, Escape(empty))
		return
	}
	c.axes(out, x, y)
	fmt.Fprintf(out, `<g transform="translate(%d %d)">`, left, top)
	for _, s := range c.Shaded {
		from, okFrom := x.at(s.From)
		to, okTo := x.at(s.To)
		if from, to = max(from, 0), min(to, x.pixels); okFrom && okTo && to > from {
			fmt.Fprintf(out, `<rect class="shade" x="%.1f" y="0" width="%.1f" height="%.1f"><title>%s</title></rect>`, from, to-from, y.pixels, Escape(s.Name))
		}
	}
	for i, k := range c.Curves {
		curve{out, x, y, i % 6}.draw(k.Kind, curves[i])
	}
	out.WriteString("</g>")
	c.key(out)
}

// heading writes the title, and that it is of simulated tags.
func heading(out *strings.Builder, title string, simulated bool, wide int) {
	fmt.Fprintf(out, `<text class="t" x="12" y="20">%s</text>`, Escape(title))
	if simulated {
		fmt.Fprintf(out, `<text class="sim" x="%d" y="20" text-anchor="end">SIMULATED</text>`, wide-right)
	}
}

// scales make room for all curves; false: nothing can be drawn.
func (c Chart) scales(curves [][]Point) (x, y scale, ok bool) {
	lowX, highX, lowY, highY := math.Inf(1), math.Inf(-1), math.Inf(1), math.Inf(-1)
	for i, points := range curves {
		for _, p := range points {
			if !known(p.X) || !known(p.Y) || c.X.Log && p.X <= 0 || c.Y.Log && p.Y <= 0 {
				continue
			}
			lowX, highX = min(lowX, p.X), max(highX, p.X)
			lowY, highY = min(lowY, p.Y), max(highY, p.Y)
			if sd := deviation(p); sd > 0 && (c.Curves[i].Kind == Band || c.Curves[i].Kind == Errors) {
				highY = max(highY, min(p.Y+sd, largest))
				if low := max(p.Y-sd, -largest); !c.Y.Log || low > 0 {
					lowY = min(lowY, low)
				}
			}
			if c.Curves[i].Kind == Steps && !c.Y.Log {
				lowY = min(lowY, 0)
			}
		}
	}
	if lowX > highX || lowY > highY {
		return x, y, false
	}
	if !c.Y.Log {
		room := (min(highY, largest) - max(lowY, -largest)) * 0.05
		highY += room
		if lowY != 0 {
			lowY -= room
		}
	}
	return newScale(c.X, lowX, highX, width-left-right), newScale(c.Y, lowY, highY, height-top-bottom), true
}

func deviation(p Point) float64 {
	if !known(p.SD) || p.SD < 0 {
		return 0
	}
	return p.SD
}

func (c Chart) axes(out *strings.Builder, x, y scale) {
	bottomAt := height - bottom
	for _, t := range y.ticks() {
		at := float64(bottomAt) - t.at
		fmt.Fprintf(out, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`,
			left, width-right, at, at, left-6, at+4, t.text)
	}
	for _, t := range x.ticks() {
		at := left + t.at
		fmt.Fprintf(out, `<line class="axis" x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`,
			at, at, bottomAt, bottomAt+5, at, bottomAt+18, t.text)
	}
	fmt.Fprintf(out, `<path class="axis" d="M%d %dV%dH%d"/>`, left, top, bottomAt, width-right)
	fmt.Fprintf(out, `<text x="%d" y="%d" text-anchor="middle">%s</text>`, (left+width-right)/2, height-8, Escape(c.X.Label))
	fmt.Fprintf(out, `<text transform="translate(14 %d) rotate(-90)" text-anchor="middle">%s</text>`, (top+bottomAt)/2, Escape(c.Y.Label))
}

// key names the curves.
func (c Chart) key(out *strings.Builder) {
	const most = 6
	at, shown := left, 0
	for i, k := range c.Curves {
		if k.Name == "" || shown == most {
			continue
		}
		shown++
		fmt.Fprintf(out, `<rect class="k%d" x="%d" y="29" width="10" height="8"/><text x="%d" y="37">%s</text>`, i%6, at, at+14, Escape(shortened(k.Name, 20)))
		at += 26 + 7*len([]rune(shortened(k.Name, 20)))
	}
}

// shortened is a name of at most so many characters: its begin and its end, as long names
// of a node's channels begin alike.
func shortened(name string, most int) string {
	r := []rune(name)
	if len(r) <= most {
		return name
	}
	begin := most / 3
	return string(r[:begin]) + "…" + string(r[len(r)-(most-1-begin):])
}
