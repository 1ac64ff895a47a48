package python

import (
	"flag"
	"os"
	"path/filepath"
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
