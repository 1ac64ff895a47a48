// Package python holds the parts of a plugin in Python: the modules that a
// laboratory copies beside its own, and a driver and a sink that use them.
package python

import (
	"embed"
	"encoding/base64"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"

	"tsrun/sdk/pluginpb"
)

// Files are the modules and examples.
//
//go:embed *.py tc-noise-py sink-counts-py
var Files embed.FS

// Modules are the files that every plugin in Python has beside it.
var Modules = []string{"tsrun_plugin.py", "tsrun_wire.py", "tsrun_descriptor.py"}

// Descriptor writes the messages of plugin.proto as the module that tsrun_wire
// reads; Python needs no generated code then.
func Descriptor() (string, error) {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(protodesc.ToFileDescriptorProto(pluginpb.File_plugin_proto))
	if err != nil {
		return "", fmt.Errorf("describe plugin.proto: %w", err)
	}
	var b strings.Builder
	b.WriteString("\"\"\"The messages of sdk/pluginpb/plugin.proto, as a FileDescriptorProto; made by package python.\"\"\"\nDESCRIPTOR = (\n")
	for rest := base64.StdEncoding.EncodeToString(text); rest != ""; {
		n := min(len(rest), 120)
		fmt.Fprintf(&b, "    \"%s\"\n", rest[:n])
		rest = rest[n:]
	}
	b.WriteString(")\n")
	return b.String(), nil
}
