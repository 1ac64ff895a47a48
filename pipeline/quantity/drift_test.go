package quantity

import (
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
		want := product.Add(product, half).Quo(product, big.NewInt(1_000_000_000_000_000))
		if got := Drift(d).Of(v); big.NewInt(got).Cmp(want) != 0 {
			t.Fatalf("%d of %d: %d, want %d", d, v, got, want)
		}
	})
}
