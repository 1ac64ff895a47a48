//go:build linux

package confine_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/pipeline/confine"
)

// confined runs a shell script on a thread that is confined. The outcome is of the
// thread, the output of the script.
func confined(t *testing.T, r confine.Rules, outside, script string) (confine.Outcome, string) {
	t.Helper()
	type result struct {
		outcome confine.Outcome
		output  string
	}
	done := make(chan result)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends here
		outcome := confine.Thread(r, outside, "")
		out, err := exec.Command("/bin/sh", "-c", script).CombinedOutput()
		if err != nil {
			out = append(out, err.Error()...)
		}
		done <- result{outcome, string(out)}
	}()
	got := <-done
	if strings.Contains(got.outcome.Why, "no Landlock") {
		need.Kernel(t, got.outcome.Why)
	}
	return got.outcome, got.output
}

var system = []string{"/usr", "/bin", "/lib", "/lib64", "/etc"}

func TestConfined(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"mine", "others"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name, "file"), []byte("text\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink(filepath.Join(dir, "others"), filepath.Join(dir, "mine", "link")); err != nil {
		t.Fatal(err)
	}
	rules := confine.Rules{Read: append([]string{filepath.Join(dir, "nowhere")}, system...), Write: []string{filepath.Join(dir, "mine")}, Devices: []string{"/dev"}}
	outside := filepath.Join(dir, "trial")
	for script, refused := range map[string]bool{
		"echo x > mine/new && cat mine/new && mkdir mine/d && mv mine/new mine/d/new && rm mine/d/new": false,
		"echo x > /dev/null":            false,
		"echo x > others/new":           true,
		"echo x > mine/../others/new":   true,
		"echo x > mine/link/new":        true,
		"cat others/file":               true,
		"ln others/file mine/hard":      true,
		"mv others/file mine/moved":     true,
		"mv mine/file others/moved":     true,
		"rm others/file":                true,
		"cp /bin/true mine/t && mine/t": true, // what was written is not executed
	} {
		outcome, output := confined(t, rules, outside, "cd '"+dir+"' && "+script)
		if !outcome.Confined {
			t.Fatalf("not confined: %s", outcome.Why)
		}
		if got := strings.Contains(output, "exit status"); got != refused {
			t.Errorf("%s: refused is %v, want %v: %s", script, got, refused, output)
		}
	}
	if text, err := os.ReadFile(filepath.Join(dir, "others", "file")); err != nil || string(text) != "text\n" {
		t.Errorf("a file outside was changed: %q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "others", "mine"), nil, 0o600); err != nil {
		t.Errorf("the rest of this process is confined: %v", err)
	}
}

// TestNetwork: without it no TCP connection is made.
func TestNetwork(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, allowed := range []bool{true, false} {
		done := make(chan error)
		go func() {
			runtime.LockOSThread()
			_ = confine.Thread(confine.Rules{Network: allowed}, filepath.Join(t.TempDir(), "trial"), "")
			c, err := net.Dial("tcp", l.Addr().String())
			if err == nil {
				c.Close()
			}
			done <- err
		}()
		err := <-done
		if allowed && err != nil {
			t.Errorf("with the network: %v", err)
		}
		if !allowed && err == nil {
			t.Log("this kernel's Landlock does not know of the network")
		}
	}
}

// TestTrial: what cannot be proven is not said to be so.
func TestTrial(t *testing.T) {
	dir := t.TempDir()
	if outcome, _ := confined(t, confine.Rules{Read: system, Write: []string{dir}}, filepath.Join(dir, "trial"), "true"); outcome.Confined || !strings.Contains(outcome.Why, "was not refused") {
		t.Errorf("a trial that succeeds outside: %+v", outcome)
	}
	if outcome, _ := confined(t, confine.Rules{Read: system}, filepath.Join(dir, "nowhere", "trial"), "true"); outcome.Confined || !strings.Contains(outcome.Why, "could not be tried") {
		t.Errorf("a trial where nobody may write: %+v", outcome)
	}
}

func TestPrivileged(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, nil, 0o700); err != nil {
		t.Fatal(err)
	}
	if why := confine.Privileged(path); why != "" {
		t.Errorf("a plain program: %s", why)
	}
	if err := os.Chmod(path, 0o700|os.ModeSetuid); err != nil {
		t.Fatal(err)
	}
	if why := confine.Privileged(path); !strings.Contains(why, "set-user-ID") {
		t.Errorf("a set-user-ID program: %q", why)
	}
}
