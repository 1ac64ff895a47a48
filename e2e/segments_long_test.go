package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
	"tsrun/pipeline/wire"
)

// TestLongManySegments makes very many files and asks the master all the while
// whether it is there: nodes would give up a master that is not. They are
// 24 000, or 4000 where a part is asked for; TSRUN_TEST_SEGMENTS asks for another
// number, such as 100000.
func TestLongManySegments(t *testing.T) {
	t.Parallel()
	files := need.LongTrials(t, 24_000, 4000)
	if text := os.Getenv("TSRUN_TEST_SEGMENTS"); text != "" {
		var err error
		if files, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	files -= files % 8 // of eight channels
	var channels strings.Builder
	for n := 1; n <= 8; n++ {
		fmt.Fprintf(&channels, "      c%d: {on: tc/%d, threshold: 120 mV}\n", n, n)
	}
	work := t.TempDir()
	port := ownPort(t, "127.0.0.1")
	recipe := write(t, filepath.Join(work, "segments.yaml"), fmt.Sprintf(`version: 1
name: segments
nodes:
  alice:
    controllers: {tc: {driver: tc-hurry, config: {every: 5 ms}}}
    channels:
%snetwork: {ports: {status: %d}}
acquire: {duration: %d ms, segment: 10 ms}
sinks: {raw: {sink: sink-file}}
`, channels.String(), port, files/8*10))
	p := start(t, work, nil, recipe)
	var longest, asked atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { // ends with ctx
		client := wire.NewStatusClient(fmt.Sprintf("127.0.0.1:%d", port), nil)
		defer client.Close()
		for ctx.Err() == nil {
			began := time.Now()
			if _, err := client.Call(ctx, []byte(`{"node":"stranger","token":"x","report":{}}`)); err != nil {
				return
			}
			if asked.Add(1) > 1 { // the first waits for the port to be opened
				longest.Store(max(longest.Load(), int64(time.Since(began))))
			}
			time.Sleep(20 * time.Millisecond)
		}
	}()
	if code := p.wait(time.Hour); code != 0 { // the time limit of the tests comes first
		t.Fatalf("exit code %d\n%s\n%s", code, p.stdout.String(), p.stderr.String())
	}
	cancel()
	dir, m := latest(t, work)
	if len(m.Segments) != files || !run.IsGood(m.Condition) {
		t.Errorf("%d segments, condition %v\n%s", len(m.Segments), m.Condition, reasons(m))
	}
	silent := time.Duration(longest.Load())
	t.Logf("the master answered %d questions, the slowest in %v", asked.Load(), silent)
	if asked.Load() < 100 || silent > 5*time.Second {
		t.Errorf("the master answered %d questions, one after %v", asked.Load(), silent)
	}
	v := start(t, work, nil, "verify", dir)
	if code := v.wait(time.Hour); code != 0 {
		t.Errorf("verify: exit code %d\n%s", code, v.stdout.String())
	}
}
