package main

import (
	"testing"

	"tsrun/sdk/sdktest"
)

func TestConformance(t *testing.T) {
	program := sdktest.Build(t, ".")
	sdktest.Documented(t, program, "../../docs/plugins/sink-parquet.md")
	sdktest.Run(t, program, sdktest.Options{})
}
