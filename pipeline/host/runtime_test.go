package host

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// holdRuntime is a process that has a private directory until it is killed.
func holdRuntime() {
	r, err := NewRuntime()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Path())
	forever()
}

// TestRuntimeOfAKilledProcess: what kill -9 leaves goes when the next process needs such a
// directory, and that of a process which lives stays, however old both are.
func TestRuntimeOfAKilledProcess(t *testing.T) {
	root := t.TempDir()
	t.Setenv("TMPDIR", root)
	hold := func() (dir string, kill func()) {
		self, err := os.Executable()
		if err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command(self)
		cmd.Args[0] = "runtime-held"
		out, err := cmd.StdoutPipe()
		if err == nil {
			err = cmd.Start()
		}
		if err != nil {
			t.Fatal(err)
		}
		kill = func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
		t.Cleanup(kill)
		line, err := bufio.NewReader(out).ReadString('\n')
		if dir = strings.TrimSpace(line); err != nil || filepath.Dir(dir) != root {
			t.Fatalf("%q, %v", line, err)
		}
		return dir, kill
	}
	killed, kill := hold()
	living, _ := hold()
	kill()
	long := time.Now().Add(-time.Hour)
	for _, dir := range []string{killed, living} {
		if err := os.Chtimes(dir, long, long); err != nil {
			t.Fatal(err)
		}
	}
	r, err := NewRuntime()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Remove()
	if _, err := os.Lstat(killed); err == nil {
		t.Error("what a killed process left is still there")
	}
	if _, err := os.Stat(filepath.Join(living, aliveFile)); err != nil {
		t.Errorf("that of a process which lives is swept away: %v", err)
	}
}

// TestSweepRuntime: what a killed process left goes, and nothing else.
func TestSweepRuntime(t *testing.T) {
	root := t.TempDir()
	t.Setenv("TMPDIR", root)
	later := time.Now().Add(2 * lastingAfter)
	made := func(f func(dir string)) string {
		t.Helper()
		r, err := NewRuntime()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { r.alive.Close() })
		if f != nil {
			r.alive.Close() // as the kernel does when the process is killed
			f(r.path)
		}
		return r.path
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
		"of a process that lives":   made(nil),
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
	if os.Geteuid() == 0 {
		stay["of another user"] = made(func(dir string) {
			if err := os.Chown(dir, 65534, 65534); err != nil {
				t.Fatal(err)
			}
		})
	}
	aim := made(func(string) {}) // elsewhere, and a link to it here
	stay["that is a link's"] = filepath.Join(t.TempDir(), "aim")
	if err := os.Rename(aim, stay["that is a link's"]); err != nil {
		t.Fatal(err)
	}
	stay["that is a link"] = filepath.Join(root, "tsrun-link")
	if err := os.Symlink(stay["that is a link's"], stay["that is a link"]); err != nil {
		t.Fatal(err)
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
		t.Error("what a dead process left is still there")
	}
	for what, path := range stay {
		if _, err := os.Lstat(path); err != nil {
			t.Errorf("swept away: a directory %s", what)
		}
	}
	sweepRuntime(filepath.Join(root, "nowhere"), later)
}

// TestRuntimeIsRemoved, and none is no mistake.
func TestRuntimeIsRemoved(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	r, err := NewRuntime()
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(r.Path()); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("%v, %v", info, err)
	}
	r.Remove()
	if _, err := os.Lstat(r.Path()); err == nil {
		t.Error("it is still there")
	}
	r = nil
	r.Remove()
	t.Setenv("TMPDIR", filepath.Join(t.TempDir(), "none"))
	if _, err := NewRuntime(); err == nil || !strings.Contains(err.Error(), "set TMPDIR") {
		t.Errorf("where there is no room for it: %v", err)
	}
}
