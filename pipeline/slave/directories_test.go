package slave

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestSweepRuntime: what a killed slave left goes, and nothing else.
func TestSweepRuntime(t *testing.T) {
	root := t.TempDir()
	t.Setenv("TMPDIR", root)
	later := time.Now().Add(2 * lastingAfter)
	made := func(f func(dir string)) string {
		t.Helper()
		dir, alive, err := makeRuntime()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { alive.Close() })
		if f != nil {
			alive.Close() // as the kernel does when the process is killed
			f(dir)
		}
		return dir
	}
	write := func(path string) {
		t.Helper()
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	outside := filepath.Join(t.TempDir(), "file")
	write(outside)
	dead := made(func(dir string) {
		if err := os.Mkdir(filepath.Join(dir, "bob.tc"), 0o700); err != nil {
			t.Fatal(err)
		}
		write(filepath.Join(dir, "bob.tc", "socket"))
		if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
			t.Fatal(err)
		}
	})
	stay := map[string]string{
		"of a slave that lives":     made(nil),
		"without a lock":            made(func(dir string) { os.Remove(filepath.Join(dir, aliveFile)) }),
		"whose lock is being taken": made(func(dir string) { os.Rename(filepath.Join(dir, aliveFile), filepath.Join(dir, "new")) }),
		"whose lock is a link": made(func(dir string) {
			os.Remove(filepath.Join(dir, aliveFile))
			os.Symlink(outside, filepath.Join(dir, aliveFile))
		}),
		"of another program": filepath.Join(root, "other-1"),
		"a file":             filepath.Join(root, "tsrun-file"),
		"outside":            outside,
	}
	write(stay["a file"])
	if err := os.Mkdir(stay["of another program"], 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(stay["of another program"], aliveFile))
	sweepRuntime(root, time.Now())
	if _, err := os.Stat(dead); err != nil {
		t.Error("swept while its plugins may be at work")
	}
	for range 2 {
		sweepRuntime(root, later)
	}
	if _, err := os.Lstat(dead); err == nil {
		t.Error("what a dead slave left is still there")
	}
	for what, path := range stay {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("swept away: a directory %s", what)
		}
	}
	sweepRuntime(filepath.Join(root, "nowhere"), later)
}
