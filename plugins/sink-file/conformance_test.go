package main

import (
	"testing"

	"tsrun/sdk/sdktest"
)

func TestConformance(t *testing.T) {
	program := sdktest.Build(t, ".")
	sdktest.Documented(t, program, "../../docs/plugins/sink-file.md")
	sdktest.Run(t, program, sdktest.Options{})
}
