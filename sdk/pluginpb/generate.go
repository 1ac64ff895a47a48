// Package pluginpb is the control protocol between tsrun and its plugins, as
// generated from plugin.proto. The generated files are committed: building
// tsrun needs no protoc. Plugins in other languages generate theirs from the
// same file.
package pluginpb

//go:generate protoc --go_out=. --go_opt=paths=source_relative --go-grpc_out=. --go-grpc_opt=paths=source_relative plugin.proto
