package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"tsrun/internal/need"
	"tsrun/pipeline/run"
)

// TestSmallestDriversRun: those that docs/writing-a-driver.md shows run a recipe.
func TestSmallestDriversRun(t *testing.T) {
	t.Parallel()
	examples, err := filepath.Abs("../examples")
	if err != nil {
		t.Fatal(err)
	}
	for _, driver := range []string{"tc-noise", "tc-noise-py"} {
		t.Run(driver, func(t *testing.T) {
			t.Parallel()
			dir, plugins := t.TempDir(), t.TempDir()
			if driver == "tc-noise" {
				if out, err := exec.Command("go", "build", "-buildvcs=false", "-ldflags", "-s -w", "-o", plugins, "tsrun/examples/go/tc-noise").CombinedOutput(); err != nil {
					t.Fatalf("%v\n%s", err, out)
				}
			} else {
				need.Python(t, "grpc, google.protobuf, zmq", "python3-grpcio python3-protobuf python3-zmq")
				path := filepath.Join(plugins, driver)
				if err := os.Symlink(filepath.Join(examples, "python", driver), path); err != nil {
					t.Fatal(err)
				}
				about, err := exec.Command(path, "--describe").Output()
				if err != nil {
					t.Fatal(err)
				}
				write(t, path+".json", string(about))
			}
			write(t, filepath.Join(dir, "noise.yaml"), `{version: 1, name: noise, nodes: {lab: {controllers: {tc: {driver: `+driver+`}},
  channels: {x: {on: tc/1, threshold: 120 mV}, y: {on: tc/2, threshold: 120 mV}}}}, acquire: {duration: 1 s}, sinks: {raw: {sink: sink-file}}}`)
			cmd := exec.Command(filepath.Join(bin, "tsrun"), "noise.yaml", "--plugin-dir", plugins)
			cmd.Dir, cmd.Env = dir, append(os.Environ(), "TSRUN_PLUGINS=")
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if _, m := latest(t, dir); !run.IsGood(m.Condition) {
				t.Errorf("condition %v\n%s", m.Condition, reasons(m))
			}
		})
	}
}
