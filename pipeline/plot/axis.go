package plot

import (
	"math"
	"strconv"
)

// Axis is one of a picture.
type Axis struct {
	Label string // with its unit
	Log   bool   // values that are not above 0 are not drawn
}

// largest bounds values, so that a range of them is a number.
const largest = 1e300

// scale carries values to places, from low at pixel 0 to high at so many pixels.
type scale struct {
	log       bool
	low, high float64 // of a log axis their logarithms
	pixels    float64
}

// newScale makes room for values from low to high, which are numbers, low not above high.
func newScale(a Axis, low, high, pixels float64) scale {
	low, high = max(low, -largest), min(high, largest)
	if a.Log {
		low, high = math.Log10(low), math.Log10(high)
	}
	if room := max(math.Abs(low), math.Abs(high)) * 1e-12; high-low <= room {
		half := max(1, 2*room)
		if room > 0.5 {
			half = 1e3 * room
		}
		low, high = low-half, high+half
	}
	return scale{a.Log, low, high, pixels}
}

// at is the pixel of a value; false: it cannot be drawn.
func (s scale) at(v float64) (float64, bool) {
	if !known(v) || s.log && v <= 0 {
		return 0, false
	}
	v = min(max(v, -largest), largest)
	if s.log {
		v = math.Log10(v)
	}
	at := (v - s.low) / (s.high - s.low) * s.pixels
	return min(max(at, -s.pixels), 2*s.pixels), true
}

// tick is a value at which an axis has a mark.
type tick struct {
	at   float64 // pixel
	text string
}

// ticks are some five, at 1, 2 or 5 times a power of ten.
func (s scale) ticks() (list []tick) {
	const few = 5
	step := nice((s.high - s.low) / few)
	if s.log {
		step = max(1, math.Ceil((s.high-s.low)/(few+2)))
	}
	if !(step > 0) || !known(step) {
		return nil
	}
	for i := math.Ceil(s.low/step - 1e-9); i*step <= s.high+step*1e-9 && len(list) < 4*few; i++ {
		v := i * step
		text := tickText(v, step)
		if s.log {
			text = powerText(v)
		}
		if n := len(list); n > 0 && list[n-1].text == text {
			continue // finer than numbers are
		}
		list = append(list, tick{(v - s.low) / (s.high - s.low) * s.pixels, text})
	}
	if s.log && len(list) < 2 {
		return scale{low: math.Pow(10, s.low), high: math.Pow(10, s.high), pixels: s.pixels}.logged(s)
	}
	return list
}

// logged are the ticks of values, at their places on a logarithmic axis.
func (s scale) logged(on scale) (list []tick) {
	for _, t := range s.ticks() {
		v := s.low + t.at/s.pixels*(s.high-s.low)
		if at, ok := on.at(v); ok {
			list = append(list, tick{at, t.text})
		}
	}
	return list
}

// nice is 1, 2 or 5 times a power of ten, not below v.
func nice(v float64) float64 {
	if !(v > 0) || !known(v) {
		return 0
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, m := range []float64{1, 2, 5} {
		if v <= m*power*(1+1e-9) {
			return m * power
		}
	}
	return 10 * power
}

// tickText writes a value to the digits that its step needs.
func tickText(v, step float64) string {
	if math.Abs(v) < step/2 {
		return "0"
	}
	if a := math.Abs(v); a >= 1e7 || a < 1e-4 {
		return strconv.FormatFloat(v, 'g', min(max(2, int(math.Ceil(math.Log10(a/step)))+1), 15), 64)
	}
	return strconv.FormatFloat(v, 'f', min(max(0, int(math.Ceil(-math.Log10(step)-1e-9))), 9), 64)
}

// powerText writes ten to so many.
func powerText(exponent float64) string {
	if exponent >= 0 && exponent < 5 {
		return strconv.FormatFloat(math.Pow(10, exponent), 'f', 0, 64)
	}
	return "1e" + strconv.FormatFloat(exponent, 'f', 0, 64)
}

// TimeUnit is the unit for times up to so many ps, and how many ps it has.
func TimeUnit(most float64) (unit string, ps float64) {
	for _, u := range []struct {
		name string
		ps   float64
	}{{"s", 1e12}, {"ms", 1e9}, {"us", 1e6}, {"ns", 1e3}} {
		if most >= u.ps {
			return u.name, u.ps
		}
	}
	return "ps", 1
}
