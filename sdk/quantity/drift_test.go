package quantity

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"
)

func TestDriftOf(t *testing.T) {
	for _, c := range []struct {
		d    Drift
		v    int64
		want int64
	}{
		{0, 1 << 62, 0},
		{1, 1_000_000_000_000_000, 1},
		{1, 499_999_999_999_999, 0},
		{1, 500_000_000_000_000, 1},
		{-1, 500_000_000_000_000, -1},
		{12 * PartPerBillion, 60_000_000_000_000, 720_000},
		{PartPerBillion, 1 << 53, 9_007_199},
		{999_999_999_999_999, -1 << 63, -(1<<63 - 9223)},
	} {
		if got := c.d.Of(c.v); got != c.want {
			t.Errorf("%d of %d: %d, want %d", c.d, c.v, got, c.want)
		}
	}
}

func TestDriftOfIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := rapid.Int64Range(-999_999_999_999_999, 999_999_999_999_999).Draw(t, "d")
		v := rapid.Int64().Draw(t, "v")
		product := new(big.Int).Mul(big.NewInt(d), big.NewInt(v))
		half := big.NewInt(500_000_000_000_000)
		if product.Sign() < 0 {
			half.Neg(half)
		}
		want := half.Add(product, half).Quo(half, big.NewInt(DriftUnit))
		if got := Drift(d).Of(v); big.NewInt(got).Cmp(want) != 0 {
			t.Fatalf("%d of %d: %d, want %d", d, v, got, want)
		}
		fine := Drift(d).FineOf(v)
		if fine.Whole != want.Int64() {
			t.Fatalf("%d of %d: %v, want %d", d, v, fine, want)
		}
		rest := product.Sub(product, want.Mul(want, big.NewInt(DriftUnit))).Int64()
		if math.Abs(fine.Part*DriftUnit-float64(rest)) > 0.5 {
			t.Fatalf("%d of %d: %g/1e15 over %d, want %d/1e15", d, v, fine.Part*DriftUnit, fine.Whole, rest)
		}
	})
}
