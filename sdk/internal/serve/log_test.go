package serve

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestLogSaysUnitsOfDurations(t *testing.T) {
	var lines bytes.Buffer
	NewLogger(&lines).WithGroup("of").Info("armed", "took", 1500*time.Millisecond)
	if got := lines.String(); !strings.Contains(got, `"took":"1.5s"`) || !strings.Contains(got, `"@message":"armed"`) {
		t.Errorf("got %s", got)
	}
}
