package host

import (
	"fmt"
	"os"
	"path/filepath"
)

// WriteDocuments writes a page NAME.md into dir for each plugin that is found in
// dirs and described, and returns the paths of the pages.
func WriteDocuments(dirs []string, dir string) (written []string, err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("write pages of plugins: %w", err)
	}
	found, _ := List(dirs)
	for _, c := range found {
		if c.Description == nil {
			continue
		}
		text, err := c.Description.Document()
		if err != nil {
			return written, err
		}
		path := filepath.Join(dir, c.Name+".md")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			return written, fmt.Errorf("write pages of plugins: %w", err)
		}
		written = append(written, path)
	}
	return written, nil
}
