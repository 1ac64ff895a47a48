package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
	"tsrun/sdk"
)

// asUser is the environment of somebody who has tsrun on the path and no network.
// Without the paths of directories in them, the packages of the SDK are the same in
// all of these tests and compiled once.
func asUser(programs string) []string {
	return append(os.Environ(), "GOPROXY=off", "GOFLAGS=-trimpath", "GOWORK=off", "TSRUN_PLUGINS=", "PATH="+programs+":"+os.Getenv("PATH"))
}

// TestNewPlugins writes plugins with tsrun plugin new and does what their READMEs
// say, word by word and without a network: test, check and run.
func TestNewPlugins(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		flags []string
	}{
		{"tc-foo", []string{"--driver"}},
		{"sink-foo", []string{"--sink"}},
		{"tc-foo-py", []string{"--driver", "--python"}},
		{"sink-foo-py", []string{"--sink", "--python"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if c.flags[len(c.flags)-1] == "--python" {
				need.Python(t, "grpc", "python3-grpcio")
				need.Python(t, "google.protobuf", "python3-protobuf")
				need.Python(t, "zmq", "python3-zmq")
			}
			lab := t.TempDir()
			tsrun := filepath.Join(bin, "tsrun")
			if out, err := exec.Command(tsrun, append([]string{"plugin", "new", c.name, "--dir", lab, "--sdk", ".."}, c.flags...)...).CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			dir := filepath.Join(lab, c.name)
			readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
			if err != nil {
				t.Fatal(err)
			}
			steps := string(regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindSubmatch(readme)[1])
			for trial := 1; ; trial++ {
				shell := exec.Command("sh", "-ex", "-c", steps)
				shell.Dir = dir
				shell.Env = asUser(bin)
				out, err := shell.CombinedOutput()
				if err == nil {
					break
				}
				next := "tsrun recipe.yaml"
				if strings.Contains(string(out), "still there 3s later") { // of a plugin that a busy PC keeps from ending
					next = "tsrun plugin test"
				}
				if trial == mostTrials || next == "tsrun recipe.yaml" && !lastHeldUp(t, dir) {
					t.Fatalf("the steps of its README: %v\n%s", err, out)
				}
				t.Logf("trial %d shows nothing: %v\n%s", trial, err, out)
				steps = steps[strings.Index(steps, next):]
			}
			_, m := latest(t, dir)
			if !run.IsGood(m.Condition) || m.Nodes["lab"].Channels["x"].ReadFrom != "raw" {
				t.Errorf("condition %v\n%s", m.Condition, reasons(m))
			}
			if out, err := exec.Command(tsrun, "plugin", "new", c.name, "--dir", lab).CombinedOutput(); err == nil {
				t.Errorf("it was written over what is there: %s", out)
			}
		})
	}
}

// TestDocsOfNewDriver runs what docs/writing-a-driver.md shows for a shell, word by
// word: first beside nothing, then in the new directory when it is built.
func TestDocsOfNewDriver(t *testing.T) {
	t.Parallel()
	checkout, lab := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(checkout, "bin"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{"sdk", "go.mod", "go.sum"} { // where tsrun looks for the SDK
		if out, err := exec.Command("cp", "-r", filepath.Join("..", part), checkout).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	if out, err := exec.Command("cp", filepath.Join(bin, "tsrun"), filepath.Join(checkout, "bin")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	sh := func(dir, steps string) {
		t.Helper()
		shell := exec.Command("sh", "-ex", "-c", steps)
		shell.Dir = dir
		shell.Env = asUser(filepath.Join(checkout, "bin"))
		if out, err := shell.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", steps, err, out)
		}
	}
	blocks := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	doc, err := os.ReadFile("../docs/writing-a-driver.md")
	if err != nil {
		t.Fatal(err)
	}
	shown := blocks.FindAllSubmatch(doc, -1)
	if len(shown) < 2 {
		t.Fatalf("%d blocks for a shell", len(shown))
	}
	sh(lab, string(shown[0][1]))
	dir := filepath.Join(lab, "tc-foo")
	readme, err := os.ReadFile(filepath.Join(dir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	build, _, _ := strings.Cut(string(blocks.FindSubmatch(readme)[1]), "tsrun plugin test")
	sh(dir, build)
	for _, block := range shown[1:] {
		sh(dir, string(block[1]))
	}
}

// faultyDriver builds the driver with faults for a protocol version into a new folder.
func faultyDriver(t *testing.T, version int) (plugins string) {
	t.Helper()
	plugins = t.TempDir()
	path := filepath.Join(plugins, "faulty-driver")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags", fmt.Sprintf("-s -w -X main.protocol=%d", version), "-o", path, "tsrun/sdk/internal/faulty").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	about, err := exec.Command(path, "--describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+".json", string(about))
	return plugins
}

const faultyRecipe = `{version: 1, name: other, nodes: {lab: {controllers: {tc: {driver: faulty-driver}},
  channels: {x: {on: tc/1, threshold: 120 mV}}}}, acquire: {duration: 1 s}, sinks: {raw: {sink: sink-file}}}`

// TestBadBlocksOfADriver: the run names the driver's mistake, not what follows from it,
// and keeps what came before.
func TestBadBlocksOfADriver(t *testing.T) {
	t.Parallel()
	plugins, recipe := faultyDriver(t, sdk.ProtocolVersion), write(t, filepath.Join(t.TempDir(), "other.yaml"), faultyRecipe)
	for fault, says := range map[string]string{
		"shots:disorder": "the header says 1000000",
		"shots:gap":      "block 2 is due; 1 blocks are missing",
		"shots:twice":    "this one came twice",
	} {
		write(t, filepath.Join(plugins, "faulty-driver.fault"), fault)
		work := t.TempDir()
		r := runTsrun(t, work, append([]string{recipe, "--plugin-dir", plugins}, freePorts...)...)
		_, m := latest(t, work)
		tags := m.Nodes["lab"].Channels["x"].Tags
		if before := fault != "shots:disorder"; run.IsGood(m.Condition) || r.code != 3 && r.code != 7 || (tags > 0) != before || tags > 3*32_768 { // three blocks at most
			t.Errorf("%s: exit code %d, %d tags kept", fault, r.code, tags)
		}
		contains(t, r.stderr, "lab: controller tc: its driver sent a bad block", says, "tsrun plugin test")
		if strings.Contains(r.stdout+r.stderr, "stopped taking tags") {
			t.Errorf("%s: the core is blamed\n%s", fault, r.stderr)
		}
	}
}

// TestStartThatNobodySaw: a driver that brings tags and never tells that its device began
// has made no good run.
func TestStartThatNobodySaw(t *testing.T) {
	t.Parallel()
	plugins, recipe, work := faultyDriver(t, sdk.ProtocolVersion), write(t, filepath.Join(t.TempDir(), "other.yaml"), faultyRecipe), t.TempDir()
	write(t, filepath.Join(plugins, "faulty-driver.fault"), "shots:unseen")
	r := runTsrun(t, work, append([]string{recipe, "--plugin-dir", plugins}, freePorts...)...)
	_, m := latest(t, work)
	if r.code != 3 || run.IsGood(m.Condition) || !m.Has(run.Tainted) || m.Nodes["lab"].Channels["x"].Tags < 999_000 {
		t.Errorf("exit code %d, %v, %d tags", r.code, m.Condition, m.Nodes["lab"].Channels["x"].Tags)
	}
	contains(t, fmt.Sprint(m.Reasons), `controller "tc" brought`, "its driver told of no start")
}

// TestLossesThatNobodyHad: a sink whose file tells of 2^63 lost tags, of a channel that
// lost none, has made no good run.
func TestLossesThatNobodyHad(t *testing.T) {
	t.Parallel()
	plugins, work := faultyDriver(t, sdk.ProtocolVersion), t.TempDir()
	path := filepath.Join(plugins, "faulty-sink")
	if err := os.Symlink(filepath.Join(plugins, "faulty-driver"), path); err != nil {
		t.Fatal(err)
	}
	about, err := exec.Command(path, "--describe").Output()
	if err != nil {
		t.Fatal(err)
	}
	write(t, path+".json", string(about))
	write(t, path+".fault", "recording:lost")
	recipe := write(t, filepath.Join(t.TempDir(), "other.yaml"), strings.Replace(faultyRecipe, "sink-file", "faulty-sink", 1))
	r := runTsrun(t, work, append([]string{recipe, "--plugin-dir", plugins}, freePorts...)...)
	_, m := latest(t, work)
	if r.code != 7 || run.IsGood(m.Condition) || !m.Has(run.Unverified) || len(m.Segments) != 1 || m.Segments[0].Lost != 1<<63 {
		t.Errorf("exit code %d, %v, %+v", r.code, m.Condition, m.Segments)
	}
	contains(t, fmt.Sprint(m.Reasons), `the files of sink "raw" tell of 9223372036854775808 tags lost, the channel has lost 0`)
}

// TestPluginsOfOtherReleases: a plugin that speaks the protocol of the release
// before runs a recipe; one of the next release is refused, and both versions are
// named.
func TestPluginsOfOtherReleases(t *testing.T) {
	t.Parallel()
	recipe := write(t, filepath.Join(t.TempDir(), "other.yaml"), faultyRecipe)
	for version, code := range map[int]int{sdk.OldestProtocol: 0, sdk.ProtocolVersion + 1: 6} {
		plugins, work := faultyDriver(t, version), t.TempDir()
		r := runTsrun(t, work, append([]string{recipe, "--plugin-dir", plugins}, freePorts...)...)
		if r.code != code {
			t.Fatalf("protocol %d: exit code %d, want %d\n%s%s", version, r.code, code, r.stderr, r.stdout)
		}
		if code > 0 {
			contains(t, r.stdout+r.stderr, fmt.Sprintf("it speaks plugin protocol %d, this tsrun speaks %d and %d", version, sdk.OldestProtocol, sdk.ProtocolVersion))
		} else if _, m := latest(t, work); !run.IsGood(m.Condition) || m.Nodes["lab"].Channels["x"].Tags < 999_000 {
			t.Errorf("condition %v, %d tags", m.Condition, m.Nodes["lab"].Channels["x"].Tags)
		}
	}
}
