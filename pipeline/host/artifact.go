package host

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"tsrun/pipeline/fact"
	"tsrun/sdk"
	"tsrun/sdk/pluginpb"
	"tsrun/sdk/tagfile"
)

// artifactIn is what a plugin says of a file. A plugin that does not say what
// kind it is of may be older than the kinds: then the name's ending decides.
func artifactIn(a *pluginpb.Artifact) Closed {
	var sum [32]byte
	copy(sum[:], a.GetSha256())
	c := Closed{Segment: fact.Segment{Kind: kindIn(a.GetKind()), File: a.GetPath(), Size: a.GetSize(), SHA256: hex.EncodeToString(sum[:])}}
	if c.Kind == "" {
		c.Kind = sdk.Other
		if endsAsTags(c.File) {
			c.Kind = sdk.Tags
		}
	}
	if c.Kind == sdk.Tags {
		c.Stream, c.Index = a.GetStream(), int(a.GetSegment())
		c.Tags, c.FirstPs, c.LastPs, c.Lost = a.GetTags(), a.GetFirstPs(), a.GetLastPs(), a.GetLost()
	}
	return c
}

func kindIn(k pluginpb.ArtifactKind) sdk.ArtifactKind {
	switch k {
	case pluginpb.ArtifactKind_ARTIFACT_KIND_UNSAID:
		return ""
	case pluginpb.ArtifactKind_ARTIFACT_KIND_TAGS:
		return sdk.Tags
	case pluginpb.ArtifactKind_ARTIFACT_KIND_TABLE:
		return sdk.Table
	}
	return sdk.Other
}

// keepsIn is what a sink says becomes of its tags; an unknown word counts as
// nothing said.
func keepsIn(word string) sdk.Keeps {
	switch k := sdk.Keeps(word); k {
	case sdk.AllTags, sdk.Elsewhere, sdk.NoTags:
		return k
	}
	return ""
}

// endsAsTags reports whether a file's name ends in the name of a format in which
// stages can read the segments of a channel one after another.
func endsAsTags(name string) bool {
	return slices.Contains(tagfile.Streamed(), strings.TrimPrefix(path.Ext(name), "."))
}

// checkArtifact checks what the plugin says of a file: it is sent, proven and listed
// under that name.
func (k *Sink) checkArtifact(a Closed) error {
	refuse := func(hint, format string, args ...any) error {
		return &sdk.Failure{Code: "bad-artifact", Hint: hint,
			Message: fmt.Sprintf("%s: told of the file %.200q: ", k.instance, a.File) + fmt.Sprintf(format, args...)}
	}
	base := path.Base(a.File)
	switch {
	case !fs.ValidPath(a.File) || a.File == ".":
		return refuse("a sink tells the path below Recording.Dir, with slashes, like signal.csv", "it is no path below the sink's directory")
	case strings.ContainsFunc(a.File, func(r rune) bool { return r < ' ' || r == '\\' || r == 0x7f }) || len(a.File) > maxPath:
		return refuse("name files with plain letters and digits", "the name is too long or has control characters or backslashes")
	case strings.HasPrefix(base, ".") || strings.HasSuffix(base, ".part") || strings.HasSuffix(base, ".tmp"):
		return refuse("give a file its own name before it is told of", "such a name is kept for files that are not finished")
	case a.Size < 0:
		return refuse("", "its size is %d bytes", a.Size)
	case a.Kind == sdk.Tags && !endsAsTags(a.File):
		return refuse("end the name in one of these, or say that the file is of another kind",
			"it is said to hold tags, but stages read only %s", strings.Join(tagfile.Streamed(), ", "))
	case a.Kind == sdk.Tags && !k.hasStream(a.Stream):
		return refuse("say which stream it holds", "it is said to hold the tags of stream %d, which the sink was not given", a.Stream)
	case k.paths[a.File]:
		return refuse("a file never changes once it was told of: make another", "it was told of before")
	}
	if what := k.lookAt(a.File); what != "" {
		return refuse("a sink tells of files that it wrote itself", "%s", what)
	}
	k.paths[a.File] = true
	return nil
}

// lookAt says what stands in the place of a file, where it is none: a link would
// lead the sender elsewhere, and a pipe would hold it up.
func (k *Sink) lookAt(file string) string {
	k.mu.Lock()
	dir := k.dir
	k.mu.Unlock()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return "" // it cannot be sent either, which is told then
	}
	defer root.Close()
	info, err := root.Lstat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "" // as above
	case err != nil:
		return err.Error()
	case !info.Mode().IsRegular():
		return fmt.Sprintf("it is no regular file: %v", info.Mode().Type())
	}
	return ""
}

// maxPath is how long a file's path below the sink's directory may be, in bytes.
const maxPath = 512

// hasStream reports whether the sink was given a stream.
func (k *Sink) hasStream(stream uint32) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return slices.ContainsFunc(k.streams, func(s sdk.RecordedStream) bool { return uint32(s.Stream) == stream })
}

// keptIn checks how many tags the plugin says it has kept.
func (k *Sink) keptIn(e *pluginpb.Kept) (Kept, error) {
	if !k.hasStream(e.GetStream()) {
		return Kept{}, &sdk.Failure{Code: "bad-artifact", Hint: "say which stream it is",
			Message: fmt.Sprintf("%s: told of tags kept of stream %d, which the sink was not given", k.instance, e.GetStream())}
	}
	return Kept{fact.Kept{Stream: uint16(e.GetStream()), Tags: e.GetTags()}}, nil
}
