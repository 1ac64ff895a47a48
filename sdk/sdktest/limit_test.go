package sdktest

import (
	"context"
	"errors"
	"testing"
	"time"
)

// TestLimitLeavesTimeToAcquire: a check may take as long as it is told to acquire,
// and what a check takes beside it.
func TestLimitLeavesTimeToAcquire(t *testing.T) {
	for _, acquire := range []time.Duration{0, time.Second, 3 * time.Hour} {
		s := &Suite{Options: Options{Acquire: acquire}}
		s.judge(t.Context(), check{"time", func(_ *Suite, ctx context.Context) (string, error) {
			if end, _ := ctx.Deadline(); time.Until(end) < acquire+checkLimit/2 {
				t.Errorf("of %v that are to be acquired: the check is over in %v", acquire, time.Until(end))
			}
			return "", errors.New("nothing is checked")
		}})
	}
}
