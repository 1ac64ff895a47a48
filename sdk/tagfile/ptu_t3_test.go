package tagfile

import (
	"math"
	"math/big"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// t3Layouts are the types of mode T3; wrap counts sync periods.
var t3Layouts = []t2Layout{
	{0x00010303, 1 << 16, 4, false, true},
	{0x00010304, 1 << 10, 64, false, false},
	{0x01010304, 1 << 10, 64, true, false},
	{0x00010305, 1 << 10, 64, true, false},
	{0x00010306, 1 << 10, 64, true, false},
	{0x00010307, 1 << 10, 64, true, false},
}

// t3 is the record of a tag, period and step within the last overflow.
func (l t2Layout) t3(channel int, period, step uint64) uint32 {
	if l.pico {
		return uint32(channel)<<28 | uint32(step)<<16 | uint32(period)
	}
	return uint32(channel-1)<<25 | uint32(step)<<10 | uint32(period)
}

// exactly is n periods and m steps in ps, rounded to the nearest, halves up,
// with rational numbers of any length.
func exactly(n uint64, period float64, m uint64, step float64) uint64 {
	ps := func(seconds float64, n uint64) *big.Rat {
		r, _ := new(big.Rat).SetString(strconv.FormatFloat(seconds, 'g', -1, 64))
		r.Mul(r, new(big.Rat).SetInt(new(big.Int).SetUint64(n)))
		return r.Mul(r, big.NewRat(1e12, 1))
	}
	sum := new(big.Rat).Add(ps(period, n), ps(step, m))
	sum.Add(sum, big.NewRat(1, 2))
	return new(big.Int).Div(sum.Num(), sum.Denom()).Uint64()
}

func TestT3RoundTrip(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		l := rapid.SampledFrom(t3Layouts).Draw(rt, "type")
		period := rapid.SampledFrom([]float64{1.249552e-8, 12.5e-9, 1e-6, 1.2495519876543211e-8, 1.0 / 80028683}).Draw(rt, "period")
		step := rapid.SampledFrom([]float64{16e-12, 4e-12, 1.5999999999999999e-11, 2.5e-13, 1e-12}).Draw(rt, "step")
		want := map[int][]uint64{}
		var records []uint32
		now, wraps := uint64(0), uint64(0)
		for range rapid.IntRange(0, 30).Draw(rt, "n") {
			now += rapid.SampledFrom([]uint64{0, 1, l.wrap - 1, l.wrap, 3 * l.wrap, 300 * l.wrap}).Draw(rt, "pause")
			records = append(records, l.overflows(now/l.wrap-wraps)...)
			wraps = now / l.wrap
			channel := rapid.IntRange(1, l.channels).Draw(rt, "channel")
			dtime := uint64(rapid.IntRange(0, 4095).Draw(rt, "step"))
			marker := uint32(0x80000000 | 4<<25 | 77)
			if l.pico {
				marker = 0xF0000000 | 2<<16 | 5
			}
			records = append(records, l.t3(channel, now%l.wrap, dtime), marker)
			want[channel] = append(want[channel], exactly(now, period, dtime, step))
		}
		content := t3File(l.recordType, period, step, records)
		got, err := ReadRecording(write(t, "x.ptu", content), "")
		if err != nil {
			rt.Fatal(err)
		}
		for _, tags := range want { // steps of a period may be beyond the next
			slices.Sort(tags)
		}
		if diff := cmp.Diff(want, got.Channels); diff != "" {
			rt.Fatal(diff)
		}
	})
}

func t3File(recordType uint64, period, step float64, records []uint32) []byte {
	head := ptuFile(recordType, period, 0)
	end := len(head) - ptuTag
	content := append(head[:end:end], ptuEntry(ptuStep, ptuDouble, math.Float64bits(step), "")...)
	content = append(content, ptuEntry(ptuEnd, 0xFFFF0008, 0, "")...)
	for _, r := range records {
		content = append(content, byte(r), byte(r>>8), byte(r>>16), byte(r>>24))
	}
	return content
}

func TestDecimal(t *testing.T) {
	for seconds, want := range map[float64]decimal{
		1e-12: {1, 1}, 4e-12: {4, 1}, 2.5e-13: {25, 100}, 1.249552e-8: {1249552, 100}, 1: {1e12, 1},
		0.5: {5e11, 1}, 1e-15: {1, 1000}, 1.2345678901234567e-15: {1234567890123456, 1e18},
	} {
		if got, err := picoseconds(seconds); err != nil || got != want {
			t.Errorf("%g: %v, %v, want %v", seconds, got, err, want)
		}
	}
	for _, seconds := range []float64{0, -1, 2, 1e-16, math.NaN(), math.Inf(1)} {
		if got, err := picoseconds(seconds); err == nil {
			t.Errorf("%g: %v", seconds, got)
		}
	}
	if _, ok := sumTimes(1<<63, decimal{3, 1}, 0, decimal{0, 1}); ok {
		t.Error("3 × 2^63 ps fit")
	}
	if ps, ok := sumTimes(1, decimal{math.MaxUint64, 1}, 1, decimal{4, 10}); !ok || ps != math.MaxUint64 {
		t.Error(ps, ok)
	}
	if _, ok := sumTimes(1, decimal{math.MaxUint64, 1}, 1, decimal{5, 10}); ok {
		t.Error("2^64 - 1/2 rounds to 64 bits")
	}
}
