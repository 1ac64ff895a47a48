package quantity

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestNumbersAndNone(t *testing.T) {
	values := []Number{1.5, None(), 0, Number(math.Inf(1)), 1e-300}
	text, err := json.Marshal(values)
	if err != nil || string(text) != "[1.5,null,0,null,1e-300]" {
		t.Errorf("%s, %v", text, err)
	}
	back := []Number{7, 7, 7}
	if err := json.Unmarshal([]byte("[null,2,1e999]"), &back); err == nil {
		t.Errorf("a number beyond floats is %v", back)
	}
	if err := json.Unmarshal([]byte("[null,2]"), &back); err != nil || back[0].Known() || back[1] != 2 {
		t.Errorf("%v, %v", back, err)
	}
	if got := string(None().AppendCell(Number(1.0/3).AppendCell(nil, 3), 3)); got != "0.333" {
		t.Errorf("cells are %q", got)
	}
}

// Instants are compared with integers of any size.
func TestInstants(t *testing.T) {
	edges := []int64{0, 1, -1, 1 << 27, 1 << 53, -1 << 53, 1<<62 - 1, -1 << 62, math.MaxInt64, math.MinInt64}
	rapid.Check(t, func(t *rapid.T) {
		tag := rapid.OneOf(rapid.Uint64(), rapid.SampledFrom([]uint64{0, 1, 1 << 53, 1 << 63, 1<<63 - 1, math.MaxUint64})).Draw(t, "tag")
		draw := rapid.OneOf(rapid.Int64(), rapid.SampledFrom(edges))
		one, two, step := draw.Draw(t, "one"), draw.Draw(t, "two"), max(1, draw.Draw(t, "step"))
		at := InstantOf(tag).Add(one).Add(two)
		exact := new(big.Int).SetUint64(tag)
		exact.Add(exact.Add(exact, big.NewInt(one)), big.NewInt(two))
		if at.String() != exact.String() {
			t.Fatalf("%d + %d + %d is %s", tag, one, two, at)
		}
		if since := new(big.Int).Mod(exact, big.NewInt(step)); at.Since(step) != since.Int64() {
			t.Fatalf("%s is %d after a multiple of %d", at, at.Since(step), step)
		}
		after := new(big.Int).Sub(exact, new(big.Int).SetUint64(tag))
		want := after.Int64()
		if !after.IsInt64() {
			want = map[int]int64{-1: math.MinInt64, 1: math.MaxInt64}[after.Sign()]
		}
		if got := at.Minus(InstantOf(tag)); got != want {
			t.Fatalf("%s is %d after %d", at, got, tag)
		}
		if f, _ := new(big.Float).SetInt(exact).Float64(); math.Abs(at.Float()-f) > 1e-15*math.Abs(f) {
			t.Fatalf("%s is %g", at, at.Float())
		}
		var back Instant
		text, err := json.Marshal(at)
		if err == nil {
			err = json.Unmarshal(text, &back)
		}
		if err != nil || back != at {
			t.Fatalf("%s comes back as %s (%v)", at, back, err)
		}
	})
	for _, bad := range []string{"1.5", "x", fmt.Sprint(math.MaxFloat64)} {
		if err := new(Instant).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s is an instant", bad)
		}
	}
}
