package python

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tsrun/internal/need"
	"tsrun/sdk/sdktest"
)

var update = flag.Bool("update", false, "write tsrun_descriptor.py anew")

// TestDescriptorIsThatOfTheProtocol: go test ./examples/python -update writes it anew.
func TestDescriptorIsThatOfTheProtocol(t *testing.T) {
	want, err := Descriptor()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("tsrun_descriptor.py", []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("tsrun_descriptor.py"); err != nil || string(got) != want {
		t.Errorf("tsrun_descriptor.py is not plugin.proto (%v): go test ./examples/python -update writes it anew", err)
	}
}

// TestNoConnection: what sends tags to a core that is not there any more notices it, and
// does not wait for what never comes.
func TestNoConnection(t *testing.T) {
	out, err := exec.Command(need.Python(t, "zmq", "python3-zmq"), "-c", `
import sys, zmq, tsrun_wire
s = tsrun_wire._Socket(zmq.PUSH, "ipc://" + sys.argv[1])
print("noticed" if s.monitor.poll(20_000) else "waits")
s.close()`, filepath.Join(t.TempDir(), "nobody")).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "noticed" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestConformance: a driver and a sink in Python keep the protocol as those in Go do.
func TestConformance(t *testing.T) {
	need.Python(t, "grpc", "python3-grpcio")
	need.Python(t, "google.protobuf", "python3-protobuf")
	need.Python(t, "zmq", "python3-zmq")
	for _, plugin := range []string{"tc-noise-py", "sink-counts-py"} {
		path, err := filepath.Abs(plugin)
		if err != nil {
			t.Fatal(err)
		}
		sdktest.Run(t, path, sdktest.Options{})
	}
}
