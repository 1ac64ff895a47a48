package sdk

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"tsrun/sdk/pluginpb"
)

// failureOf writes an error as it crosses to the host. What wraps a [Failure]
// says where it happened, so the whole message goes with the failure's code,
// hint and field. It returns nil for nil.
func failureOf(err error) *pluginpb.Failure {
	if err == nil {
		return nil
	}
	var f *Failure
	if !errors.As(err, &f) {
		return &pluginpb.Failure{Message: clean(err.Error())}
	}
	message := strings.TrimSuffix(err.Error(), "; "+f.Hint)
	return &pluginpb.Failure{Code: f.Code, Message: clean(message), Hint: clean(f.Hint), Field: f.Field}
}

// statusOf is failureOf as the error of a call.
func statusOf(err error) error {
	if err == nil {
		return nil
	}
	f := failureOf(err)
	s, detailing := status.New(codes.Unknown, f.Message).WithDetails(f)
	if detailing != nil {
		return status.Error(codes.Unknown, f.Message)
	}
	return s.Err()
}

// clean makes text fit for protobuf and for a gRPC header, which are strict
// about UTF-8 and size; a device may have written it.
func clean(text string) string {
	const most = 4096
	text = strings.ToValidUTF8(text, "?")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "…"
	}
	return text
}

// guarded calls an author's method and turns a panic into an error, so that
// the device can still be made safe. The log gets the stack.
func guarded(log *slog.Logger, method string, call func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			log.Error("plugin panicked", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			err = &Failure{Code: "plugin-panic", Message: fmt.Sprintf("%s panicked: %v", method, p),
				Hint: "this is a bug of the plugin; the log has the stack to report it with"}
		}
	}()
	return call()
}
