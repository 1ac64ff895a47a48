package plot

import (
	"encoding/xml"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// drawn is a picture, which is XML without scripts and without coordinates that are no numbers.
func drawn(t *testing.T, p Picture) string {
	t.Helper()
	var out, again strings.Builder
	if err := errors.Join(File(&out, p), File(&again, p)); err != nil {
		t.Fatal(err)
	}
	svg := out.String()
	if again.String() != svg {
		t.Error("the same picture has other bytes")
	}
	d := xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("not XML: %v\n%.2000s", err, svg)
		}
		if e, ok := token.(xml.StartElement); ok {
			if e.Name.Local == "script" || e.Name.Local == "image" {
				t.Errorf("element %s", e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || regexp.MustCompile(`(?i)nan|inf|e\+`).MatchString(a.Value) && a.Name.Local != "class" {
					t.Errorf("%s %s=%.100q", e.Name.Local, a.Name.Local, a.Value)
				}
			}
		}
	}
	if len(svg) > 200_000 {
		t.Errorf("%d bytes", len(svg))
	}
	return svg
}

func TestExtremes(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(1)
	for name, points := range map[string][]Point{
		"none":       nil,
		"one":        {{X: 5, Y: 7}},
		"equal":      {{X: 5, Y: 7}, {X: 5, Y: 7}},
		"gap":        {{X: 0, Y: 1}, {X: 1, Y: nan}, {X: 2, Y: 3, SD: nan}},
		"no numbers": {{X: nan, Y: 1}, {X: 1, Y: inf}, {X: -inf, Y: -inf}, {X: 2, Y: nan, SD: inf}},
		"huge":       {{X: -math.MaxFloat64, Y: -math.MaxFloat64, SD: math.MaxFloat64}, {X: math.MaxFloat64, Y: math.MaxFloat64, SD: inf}},
		"tiny":       {{X: 1e18, Y: 5e-324}, {X: 1e18 + 128, Y: 1e-320}},
		"far away":   {{X: 9.2e18, Y: 9.2e18}, {X: 9.2e18 + 2048, Y: 9.2e18 + 2048}},
		"below 0":    {{X: -3, Y: -4, SD: 9}, {X: -1, Y: -2, SD: 1}},
	} {
		for _, kind := range []Kind{Line, Steps, Band, Errors} {
			for _, log := range []bool{false, true} {
				c := Chart{Title: name, X: Axis{"x", log}, Y: Axis{"y", log}, Curves: []Curve{{"c", kind, points}},
					Shaded: []Span{{"s", nan, inf}, {"s", -inf, 5}, {"s", 5, 4}}, Simulated: true, Empty: "nothing was recorded"}
				svg := drawn(t, c)
				if !strings.Contains(svg, ">SIMULATED<") {
					t.Errorf("%s: not marked", name)
				}
				if name == "none" || name == "no numbers" {
					if !strings.Contains(svg, "nothing was recorded") || strings.Contains(svg, "<path") {
						t.Errorf("%s: %s", name, svg)
					}
				}
			}
		}
	}
	for _, to := range []float64{nan, inf, 0, -1, 1e-300, 1e18, math.MaxFloat64} {
		drawn(t, Lanes{Title: "times", To: to, Lanes: []Lane{{Name: "a", Bars: []Span{{"", 0, to}, {"", nan, inf}, {"", -inf, inf}}, Gaps: []Span{{"", 3, 2}}, Marks: []Mark{{At: nan, Letter: "N"}, {At: to, Letter: "T"}}}}})
	}
}

// Of any number of points at most 2 000 are drawn, with the lowest and the highest of all.
func TestPointsAreBounded(t *testing.T) {
	for _, n := range []int{1, 999, 1000, 1001, 2000, 2001, 300_000} {
		var r Reducer
		rng := rand.New(rand.NewPCG(uint64(n), 1))
		low, high := rng.IntN(n), rng.IntN(n)
		for i := range n {
			p := Point{X: float64(i), Y: rng.Float64()}
			switch {
			case i == low:
				p.Y = -5
			case i == high:
				p.Y = 5
			}
			r.Add(p)
		}
		points := r.Points()
		if len(points) > MaxPoints || n <= MaxPoints/2 && len(points) != n {
			t.Errorf("%d of %d points", len(points), n)
		}
		seen := map[float64]bool{}
		for i, p := range points {
			seen[p.Y] = true
			if i > 0 && p.X <= points[i-1].X {
				t.Fatalf("of %d: at %g after %g", n, p.X, points[i-1].X)
			}
		}
		if !seen[-5] || n > 1 && low != high && !seen[5] {
			t.Errorf("of %d points the lowest or the highest is lost", n)
		}
	}
}

// A value stands where its axis says: between the ticks beside it.
func TestTicksSayWhatIsDrawn(t *testing.T) {
	for _, c := range []struct {
		low, high float64
		log       bool
	}{{0, 1, false}, {-3e-9, 2e-9, false}, {1e5, 1.00001e5, false}, {0, 9.9e12, false}, {-7, 1e18, false}, {0.02, 5e6, true}, {3, 7, true}, {1e-30, 1e30, true}} {
		s := newScale(Axis{Log: c.log}, c.low, c.high, 600)
		list := s.ticks()
		if len(list) < 2 || len(list) > 20 {
			t.Errorf("%v: %d ticks", c, len(list))
		}
		for _, k := range list {
			v, err := strconv.ParseFloat(k.text, 64)
			if err != nil {
				t.Fatal(err)
			}
			at, _ := s.at(v)
			if v == 0 && c.log {
				t.Errorf("%v: a tick at 0", c)
			}
			if math.Abs(at-k.at) > 1.5 {
				t.Errorf("%v: %s stands at %g, its value lies at %g", c, k.text, k.at, at)
			}
		}
	}
}

func TestTextsOfOthersAreTexts(t *testing.T) {
	evil := "</title><script>alert(1)</script>\x00\x1b[31m\xff&\"'\n"
	svg := drawn(t, Chart{Title: evil, X: Axis{Label: evil}, Y: Axis{Label: evil}, Empty: evil, Curves: []Curve{{evil, Line, []Point{{X: 1, Y: 1}, {X: 2, Y: 2}}}}, Shaded: []Span{{evil, 1, 2}}})
	svg += drawn(t, Lanes{Title: evil, Label: evil, To: 5, Lanes: []Lane{{Name: evil, Bars: []Span{{evil, 0, 1}}, Marks: []Mark{{evil, 1, evil}}}}})
	if strings.Contains(svg, "<script") || strings.ContainsAny(svg, "\x00\x1b") {
		t.Error(svg)
	}
}

func FuzzChart(f *testing.F) {
	f.Add("title", 1.0, 2.0, 3.0, math.MaxFloat64, -1.0, 1e-300, uint8(7))
	f.Fuzz(func(t *testing.T, title string, a, b, c, d, e, g float64, how uint8) {
		drawn(t, Chart{Title: title, X: Axis{title, how&8 > 0}, Y: Axis{title, how&16 > 0}, Shaded: []Span{{title, a, b}}, Simulated: how&32 > 0,
			Curves: []Curve{{title, Kind(how & 3), []Point{{a, b, c}, {d, e, g}, {b, a, d}}}, {"", Line, []Point{{c, d, e}}}}})
		drawn(t, Lanes{Title: title, To: a, Lanes: []Lane{{Name: title, Bars: []Span{{title, b, c}}, Marks: []Mark{{title, d, title}}}}})
	})
}

// Names that are too long keep their ends: those of channels of one node differ there.
func TestLongNamesStayApart(t *testing.T) {
	const node = "n1234567890123456789012345678901"
	var out strings.Builder
	if err := SVG(&out, Lanes{To: 1, Lanes: []Lane{{Name: node + ".signal"}, {Name: node + ".idler"}, {Name: "alice.a"}}}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{">n12345…678901.signal<", ">n12345…5678901.idler<", ">alice.a<"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("the picture lacks %s:\n%s", want, out.String())
		}
	}
	for _, name := range []string{"", "ü", strings.Repeat("ü", 20), strings.Repeat("ü", 21), strings.Repeat("ü", 300)} {
		if got := []rune(shortened(name, longestName)); len(got) != min(len([]rune(name)), longestName) {
			t.Errorf("%d characters become %d", len([]rune(name)), len(got))
		}
	}
}
