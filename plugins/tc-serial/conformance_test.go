package main

import (
	"encoding/json"
	"testing"

	"tsrun/sdk/sdktest"
)

func TestConformance(t *testing.T) {
	program := sdktest.Build(t, ".")
	sdktest.Documented(t, program, "../../docs/plugins/tc-serial.md")
	for _, config := range []string{`{"model": "tdc1", "port": "sim"}`, `{"model": "ticc", "port": "sim"}`, `{"model": "tdc2", "port": "sim"}`} {
		t.Run(config, func(t *testing.T) { sdktest.Run(t, program, sdktest.Options{Config: json.RawMessage(config)}) })
	}
}
