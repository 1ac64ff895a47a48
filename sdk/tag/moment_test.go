package tag

import (
	"encoding/json"
	"math"
	"testing"
)

func TestMoment(t *testing.T) {
	const raised = 1_000_000_000_000_000_000
	for _, tt := range []struct {
		m           Moment
		text, clock string
	}{
		{MomentAt(0, 5), "5", "0.000000000005 s"},
		{MomentAt(0, -5), "-5", "-0.000000000005 s"},
		{MomentAt(0, math.MinInt64), "-9223372036854775808", "-9223372.036854775808 s"},
		{MomentAt(1<<63, -1), "9223372036854775807", "9223372.036854775807 s"},
		{MomentAt(1<<63, math.MaxInt64), "18446744073709551615", "18446744.073709551615 s"},
		{MomentAt(1<<63, math.MinInt64), "0", "0.000000000000 s"},
		{MomentOf(raised, raised), "0", "0.000000000000 s"},
		{MomentOf(raised-500, raised), "-500", "-0.000000000500 s"},
		{MomentOf(math.MaxUint64, 0), "18446744073709551615", "18446744.073709551615 s"},
	} {
		written, err := json.Marshal(tt.m)
		if err != nil || string(written) != tt.text || tt.m.String() != tt.text || tt.m.Clock() != tt.clock {
			t.Errorf("%+v: %s, %s, %s, %v; want %s, %s", tt.m, tt.m, tt.m.Clock(), written, err, tt.text, tt.clock)
		}
	}
}
