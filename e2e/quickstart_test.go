package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"tsrun/internal/need"
)

// freshPC is a PC on which nothing of tsrun was ever done: its root holds the
// system's own programs, one user without privileges, and an empty home.
type freshPC struct {
	root string
	wrap []string // what runs a command there as that user
}

const labUser = 1500

// newFreshPC makes one of what this system came with, /usr without /usr/local;
// wrap runs a program on its network.
func newFreshPC(t *testing.T, wrap []string) freshPC {
	t.Helper()
	pc := freshPC{root: t.TempDir()}
	for _, dir := range []string{"usr", "etc", "dev", "proc", "tmp", "home/lab"} {
		if err := os.MkdirAll(filepath.Join(pc.root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for link, to := range map[string]string{"bin": "usr/bin", "sbin": "usr/sbin", "lib": "usr/lib", "lib64": "usr/lib64"} {
		if err := os.Symlink(to, filepath.Join(pc.root, link)); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(filepath.Join(pc.root, "tmp"), 0o1777); err != nil {
		t.Fatal(err)
	}
	enter := `set -e
root=$1; shift
mount --rbind /usr "$root/usr"
mount -t tmpfs tmpfs "$root/usr/local"
mount --rbind /dev "$root/dev"
mount -t proc proc "$root/proc"
exec chroot "$root" setpriv --reuid 1500 --regid 1500 --clear-groups env -i HOME=/home/lab USER=lab PATH=/usr/bin:/bin sh -c "cd; $1"`
	pc.wrap = append(append([]string{}, wrap...), need.Tool(t, "unshare", "util-linux"), "--mount", "--propagation", "private", "sh", "-c", enter, "enter", pc.root)
	return pc
}

// start runs a line of the shell there.
func (pc freshPC) start(t *testing.T, line string) *tsrun {
	t.Helper()
	return startLine(t, pc.root, append(append([]string{}, pc.wrap...), line))
}

// gets copies a directory, or makes a file, in the user's home.
func (pc freshPC) gets(t *testing.T, from, to string) {
	t.Helper()
	to = filepath.Join(pc.root, "home/lab", to)
	if out, err := exec.Command("cp", "-r", from, to).CombinedOutput(); err != nil {
		t.Fatalf("cp: %v: %s", err, out)
	}
	if out, err := exec.Command("chown", "-R", "1500:1500", filepath.Join(pc.root, "home/lab")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
}

// TestQuickStart does what docs/quick-start.md says, word for word, on two PCs
// that have nothing but the programs: seven commands from there to a good run.
func TestQuickStart(t *testing.T) {
	here, there, address := twoHosts(t)
	alice, bob := newFreshPC(t, here), newFreshPC(t, there)
	if try := alice.start(t, "id -u"); try.wait(20*time.Second) != 0 || strings.TrimSpace(try.stdout.String()) != "1500" {
		if strings.Contains(try.stderr.String(), "denied") || strings.Contains(try.stderr.String(), "not permitted") {
			need.Mounts(t)
		}
		t.Fatalf("a fresh root cannot be entered: %s%s", try.stdout.String(), try.stderr.String())
	}
	text, err := os.ReadFile("../docs/quick-start.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := strings.ReplaceAll(string(text), "192.168.10.1", address)
	command := func(pattern string) string {
		found := regexp.MustCompile("(?m)^" + pattern + ".*$").FindString(guide)
		if found == "" {
			t.Fatalf("the guide has no command %s", pattern)
		}
		line, _, _ := strings.Cut(found, "#")
		return strings.TrimSpace(line)
	}
	recipe := regexp.MustCompile("(?s)```yaml\n(version: 1\nname: first\n.*?)```").FindStringSubmatch(guide)
	if recipe == nil {
		t.Fatal("the guide has no recipe")
	}
	first := strings.Replace(recipe[1], "duration: 10 s", "duration: 2 s", 1)

	command("make run")                // 1, which TestMain has done
	command(`scp -r bin bob-pc:tsrun`) // 2
	alice.gets(t, bin, "bin")
	bob.gets(t, bin, "tsrun")
	alice.gets(t, write(t, filepath.Join(t.TempDir(), "first.yaml"), first), "first.yaml")
	pairing := alice.start(t, command(`bin/tsrun pair`))
	eventually(t, 20*time.Second, "a code is printed", func() bool { return strings.Contains(pairing.stdout.String(), " --node bob\n") })
	printed := strings.Fields(pairing.stdout.String())[2]
	example := regexp.MustCompile(`pair \S+/\S+`)
	joining := bob.start(t, example.ReplaceAllString(command(`cd ~/tsrun && ./tsrun pair`), "pair "+printed))
	if joining.wait(20*time.Second) != 0 || pairing.wait(20*time.Second) != 0 {
		t.Fatalf("pairing: %s%s", joining.stderr.String(), pairing.stderr.String())
	}
	slave := bob.start(t, command(`cd ~/tsrun && ./tsrun --mode slave`)) // 3
	check := alice.start(t, command(`bin/tsrun check first\.yaml`))      // 4
	if code := check.wait(60 * time.Second); code != 0 {
		t.Errorf("check: exit code %d\n%s%s", code, check.stdout.String(), check.stderr.String())
	}
	master := alice.start(t, command(`bin/tsrun first\.yaml`)) // 5
	code := master.wait(90 * time.Second)
	for trial := 1; code != 0 && trial < mostTrials && lastHeldUp(t, filepath.Join(alice.root, "home/lab")); trial++ {
		master = alice.start(t, command(`bin/tsrun first\.yaml`))
		code = master.wait(90 * time.Second)
	}
	if code != 0 {
		t.Fatalf("exit code %d\n%s%s\nslave:\n%s", code, master.stdout.String(), master.stderr.String(), slave.stderr.String())
	}
	contains(t, master.stdout.String()+master.stderr.String(), "GOOD", "SIMULATED", "align")
	whole(t, filepath.Join(alice.root, "home/lab"))
	if err := syscall.Kill(-slave.cmd.Process.Pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	slave.wait(20 * time.Second)
	if info, err := os.Stat(filepath.Join(alice.root, "home/lab/runs")); err != nil || info.Sys().(*syscall.Stat_t).Uid != labUser {
		t.Errorf("the run directories are not the user's: %v", err)
	}
}
