package e2e

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/pipeline/event"
	"tsrun/pipeline/run"
)

// startWatch watches the bench of shots.yaml, one shot of it, and waits until it sees pairs.
func startWatch(t *testing.T) (p *tsrun, keys *os.File, dir string) {
	dir, path := writeRecipe(t, strings.Replace(shotsRecipe, ", repeat: 3", "", 1))
	line := append([]string{filepath.Join(bin, "tsrun"), "watch", path, "--json"}, freePorts...)
	in, keys, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p = startLine(t, dir, append([]string{"sh", "-c", `exec "$0" "$@" <&3`}, line...), in)
	t.Cleanup(func() { in.Close(); keys.Close() })
	for deadline := time.Now().Add(2 * time.Minute); !seesPairs(p); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("no pairs are seen:\n%s\n%s", p.stdout.String(), p.stderr.String())
		}
	}
	return p, keys, dir
}

// seesPairs reports whether rates and a peak were told.
func seesPairs(p *tsrun) bool {
	for l := range strings.Lines(p.stdout.String()) {
		var e event.Watched
		if strings.HasPrefix(l, `{"event":"watched"`) && json.Unmarshal([]byte(l), &e) == nil && len(e.Pairs) == 1 && e.Pairs[0].PeakPs != nil {
			return e.Channels[0].Rate != nil && e.Channels[1].Rate != nil
		}
	}
	return false
}

// A bench that is only watched leaves nothing; one that is recorded is a run.
func TestWatch(t *testing.T) {
	t.Parallel()
	p, _, dir := startWatch(t)
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if code := p.wait(30 * time.Second); code != 0 {
		t.Errorf("exit code %d\n%s", code, p.stderr.String())
	}
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 1 {
		t.Errorf("left beside the recipe: %v, %v", left, err)
	}

	p, keys, dir := startWatch(t)
	if _, err := keys.Write([]byte("r\n")); err != nil {
		t.Fatal(err)
	}
	code := p.wait(60 * time.Second)
	at, m := latest(t, dir)
	if (code != 0 || !run.IsGood(m.Condition)) && !heldUp(m) {
		t.Errorf("exit code %d, %v: %s\n%s", code, m.Condition, reasons(m), p.stderr.String())
	}
	if opened := strings.Count(p.stdout.String(), `{"event":"device"`); opened != 2 {
		t.Errorf("%d devices were opened of two nodes", opened)
	}
	checkTags(t, at, m, "alice", "signal")
	checkTags(t, at, m, "bob", "idler")
}
