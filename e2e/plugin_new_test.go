package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// TestNewPlugins writes plugins with tsrun plugin new and does what their READMEs
// say, word by word and without a network: test, check and run.
func TestNewPlugins(t *testing.T) {
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
			steps := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$").FindSubmatch(readme)
			shell := exec.Command("sh", "-ex", "-c", string(steps[1]))
			shell.Dir = dir
			shell.Env = append(os.Environ(), "GOPROXY=off", "GOFLAGS=", "GOWORK=off", "TSRUN_PLUGINS=", "PATH="+bin+":"+os.Getenv("PATH"))
			if out, err := shell.CombinedOutput(); err != nil {
				t.Fatalf("the steps of its README: %v\n%s", err, out)
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
