package e2e

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// refused runs coincidence.yaml with overrides and expects an exit code and
// words; nothing may hang.
func refused(t *testing.T, code int, wants []string, args ...string) {
	t.Helper()
	r := runTsrun(t, t.TempDir(), append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=1 s"}, args...)...)
	if r.code != code {
		t.Errorf("exit code %d, want %d\n%s%s", r.code, code, r.stderr, r.stdout)
	}
	contains(t, r.stdout+r.stderr, wants...)
}

func TestUnknownPlugin(t *testing.T) {
	t.Parallel()
	refused(t, 6, []string{"tc-ethernt", `did you mean "tc-ethernet"`, "--plugin-dir"}, append(freePorts, "--set", "nodes.alice.controllers.tc.driver=tc-ethernt")...)
}

// pluginThat installs a shell script as a plugin with the description of the
// real one, so that the recipe is accepted and the process is started.
func pluginThat(t *testing.T, script string) string {
	t.Helper()
	dir := t.TempDir()
	description, err := exec.Command(filepath.Join(bin, "plugins", "tc-ethernet"), "--describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "tc-ethernet.json"), string(description))
	path := write(t, filepath.Join(dir, "tc-ethernet"), "#!/bin/sh\n"+script+"\n")
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestPluginThatPanics(t *testing.T) {
	t.Parallel()
	dir := pluginThat(t, `echo 'panic: boom in main' >&2; exit 2`)
	refused(t, 6, []string{"tc-ethernet", "panic: boom in main"}, append(freePorts, "--plugin-dir", dir)...)
}

func TestPluginOfAnotherProtocol(t *testing.T) {
	t.Parallel()
	dir := pluginThat(t, `echo '1|99|unix|/nowhere|grpc'; sleep 5`)
	refused(t, 6, []string{"tc-ethernet", "protocol", "99"}, append(freePorts, "--plugin-dir", dir)...)
}

func TestPluginThatTalksFirst(t *testing.T) {
	t.Parallel()
	dir := pluginThat(t, `echo 'hello, I am a plugin'; sleep 5`)
	refused(t, 6, []string{"tc-ethernet", "hello, I am a plugin"}, append(freePorts, "--plugin-dir", dir)...)
}

func TestDeviceThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0") // accepts, and never says a word
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	refused(t, 5, []string{"127.0.0.1:" + port, "bob", "check"}, atBob("127.0.0.1:"+port)...)
}

func TestDeviceThatIsNotThere(t *testing.T) {
	t.Parallel()
	port := ownPort(t, "127.0.0.1")
	address := fmt.Sprintf("127.0.0.1:%d", port)
	refused(t, 5, []string{address, "bob", "refused"}, atBob(address)...)
}

// atBob gives bob a device that is not simulated.
func atBob(address string) []string {
	return append(slices.Clone(freePorts), "--set", "simulate.bob=null", "--set", "nodes.bob.controllers.tc.config.address="+address)
}

func TestWrongDevice(t *testing.T) {
	t.Parallel()
	refused(t, 5, []string{"bob", "Oscilloscope", "Time Controller"}, append(freePorts, "--set", "simulate.bob.faults=[wrong-identity]")...)
}

func TestPortInUse(t *testing.T) {
	t.Parallel()
	port := occupied(t)
	refused(t, 5, []string{fmt.Sprint(port), "in use", "network.ports.status"},
		"--set", "network.ports.trigger=0", "--set", "network.ports.files=0", "--set", fmt.Sprintf("network.ports.status=%d", port))
}

func TestRunDirectoryNotWritable(t *testing.T) {
	t.Parallel()
	blocked := write(t, filepath.Join(t.TempDir(), "file"), "")
	refused(t, 5, []string{"run directories", "not a directory", "--runs"}, append(freePorts, "--runs", filepath.Join(blocked, "runs"))...)
}

func TestDiskTooSmall(t *testing.T) {
	t.Parallel()
	refused(t, 5, []string{"disk_below", "free"}, append(freePorts, "--runs", filepath.Join(need.Disk(t, "4m"), "runs"))...)
}

// TestDiskThatFills records onto a disk that cannot hold the run: the failure
// is said, and what was whole is kept, proven and named.
func TestDiskThatFills(t *testing.T) {
	t.Parallel()
	disk := need.Disk(t, "6m")
	r := runTsrun(t, t.TempDir(), append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=20 s",
		"--set", "acquire.segment=500 ms", "--set", "simulate.pairs.rate=100 kHz", "--set", "faults.disk_below=1 MiB",
		"--runs", filepath.Join(disk, "runs")}, freePorts...)...)
	if r.code != 3 {
		t.Errorf("exit code %d, want 3\n%s%s", r.code, r.stderr, r.stdout)
	}
	contains(t, r.stdout+r.stderr, "INCOMPLETE")
	if said := r.stdout + r.stderr; !strings.Contains(said, "the recording was ended while its files are whole") {
		contains(t, said, "no space left on device") // it filled faster than it was looked at
	}
	whole, err := filepath.Glob(filepath.Join(disk, "runs", "latest", "raw", "*", "*.bin"))
	if err != nil || len(whole) == 0 {
		t.Errorf("nothing was kept (%v)", err)
	}
	m, err := run.ReadManifest(filepath.Join(disk, "runs", "latest"))
	if err != nil {
		t.Fatal(err)
	}
	want := 0 // where the recording was ended before anything found no room
	if slices.ContainsFunc(m.Segments, func(s run.Segment) bool { return !s.Verified }) {
		want = 7 // for what is missing
	}
	if v := runTsrun(t, t.TempDir(), "verify", filepath.Join(disk, "runs", "latest")); v.code != want || strings.Contains(v.stdout, "hash") {
		t.Errorf("verify: exit code %d, want %d, and no damage\n%s", v.code, want, v.stdout)
	}
}

// TestUnknownNodeAndTakenName sends strangers to a master that waits for bob.
func TestUnknownNodeAndTakenName(t *testing.T) {
	t.Parallel()
	here, there, address := twoHosts(t)
	work := t.TempDir()
	master := start(t, work, here, append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=2 s", "--json",
		"--set", "network.master=" + address, "--set", "network.insecure=true", "--set", "nodes.bob.host=remote"}, patient...)...)
	eventually(t, 20*time.Second, "alice has joined", func() bool {
		return strings.Contains(master.stdout.String(), `"event":"joined"`)
	})
	slave := func(name string) *tsrun {
		return start(t, t.TempDir(), there, "--mode", "slave", "--node", name, "--master", address, "--tls", "off", "--once")
	}
	carol := slave("carol")
	if code := carol.wait(20 * time.Second); code != 5 {
		t.Errorf("unknown node: exit code %d, want 5", code)
	}
	contains(t, carol.stderr.String(), `no node "carol"`, "alice, bob")

	alice := slave("alice")
	if code := alice.wait(20 * time.Second); code != 5 {
		t.Errorf("a node of the master's own: exit code %d, want 5", code)
	}
	contains(t, alice.stderr.String(), "alice is a node of the master's own PC")

	bob := slave("bob")
	if code := master.wait(60 * time.Second); code != 0 {
		t.Errorf("the run beside them: exit code %d\n%s\n%s", code, master.stdout.String(), master.stderr.String())
	}
	if code := bob.wait(20 * time.Second); code != 0 {
		t.Errorf("bob: exit code %d\n%s", code, bob.stderr.String())
	}
	dir, m := latest(t, work)
	checkRun(t, dir, m)
}

// TestDiskTooSmallForTheRun: what the recipe expects at least must fit, at the
// master, and at a node that keeps its copies; what will hardly fit is said.
func TestDiskTooSmallForTheRun(t *testing.T) {
	t.Parallel()
	disk := filepath.Join(need.Disk(t, "6m"), "runs")
	small := append([]string{"--runs", disk, "--set", "faults.disk_below=1 MiB", "--set", "expect.alice.signal.rate.min=20 MHz"}, freePorts...)
	refused(t, 5, []string{disk + " has ", "20001000 tags will come", "they cannot fit"}, small...)
	r := runTsrun(t, t.TempDir(), append([]string{shipped(t, "coincidence.yaml"), "--set", "acquire.duration=100 ms"},
		append(small, "--set", "expect.alice.signal.rate.min=9 MHz")...)...)
	if r.code != 3 { // nobody counts 9 MHz here
		t.Errorf("exit code %d, want 3\n%s%s", r.code, r.stderr, r.stdout)
	}
	contains(t, r.stdout+r.stderr, "at 8 bytes a tag, the 900100 tags", "will not fit")
}

// TestDeviceThatCannot: what a device says it can do is compared with the recipe
// before anything is armed, and the refusal says what the device can do.
func TestDeviceThatCannot(t *testing.T) {
	t.Parallel()
	const delayed = "nodes.bob.channels.b.delay=-30 ns"
	for name, c := range map[string]struct {
		bob, more, set, says string // bob is the config of his controller
	}{
		"an edge":     {"", "", "trigger.method=hardware", "the device has no START input, trigger.method: hardware needs one; it can be started at an instant (scheduled)"},
		"long delays": {"delay_max: 20 ns", "", delayed, "delay -30 ns of channel b is beyond the 20 ns of the device"},
		"the rate": {"rate_max: 1000", "expect: {bob.b: {rate: {min: 2 kHz}}}", "trigger.lead=300 ms",
			"expect wants at least 2 kHz of its channels, the device records at most 1 kHz over all inputs"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			work := t.TempDir()
			r := runTsrun(t, work, hurried(t, "", c.bob, "acquire: {duration: 1 s}\n"+c.more), "--set", c.set)
			if r.code != 5 || !strings.Contains(r.stderr, c.says) {
				t.Errorf("exit code %d, want 5 and %q\n%s", r.code, c.says, r.stderr)
			}
			if tags, _ := filepath.Glob(filepath.Join(work, "runs", "*", "raw", "*", "*")); tags != nil {
				t.Errorf("recorded %v", tags)
			}
		})
	}
}
