package drill

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
)

// TestProcessesOf finds those that keep their temporary files in a directory or below
// it, as plugins do, and nobody else's.
func TestProcessesOf(t *testing.T) {
	dir := t.TempDir()
	var wants []int
	for _, tmp := range []string{dir, filepath.Join(dir, "session", "alice.tc"), dir + "0", filepath.Dir(dir)} {
		c := exec.Command("sleep", "60")
		c.Env = []string{"A=TMPDIR=" + dir, "TMPDIR=" + tmp}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _, _ = c.Process.Kill(), c.Wait() })
		if len(wants) < 2 {
			wants = append(wants, c.Process.Pid)
		}
	}
	var found []int
	for _, p := range processesOf(dir) {
		if p.parent != os.Getpid() || !slices.Equal(p.command, []string{"sleep", "60"}) {
			t.Errorf("%+v", p)
		}
		found = append(found, p.pid)
	}
	if slices.Sort(found); !slices.Equal(found, wants) && !slices.Equal(found, []int{wants[1], wants[0]}) {
		t.Errorf("found %v, want %v", found, wants)
	}
}
