/* Single keys that do something. None of them does while a person types or composes, holds a modifier, or keeps
   the key down; and what has the focus keeps its own keys. */

const TYPED = new Set(["text", "number", "search", "email", "password", "url", "tel", "range", ""]);

export function onKey(handle, leave) {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing || event.keyCode === 229) return;
    const target = event.composedPath()[0];
    if (isTyping(target)) {
      if (event.key === "Escape") {
        target.blur();
        leave();
        event.preventDefault();
      }
      return;
    }
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.shiftKey && event.key !== "?") return;
    if (target.closest?.("dialog, [role=dialog]") || target.getRootNode?.().querySelector?.("dialog[open]")) return;
    if ((event.key === "Enter" || event.key === " ") && target.closest?.("button, a, summary, select")) return;
    if (handle(nameOf(event))) event.preventDefault();
  });
}

export function isTyping(target) {
  if (!target || target.nodeType !== 1) return false;
  if (target.isContentEditable || target.tagName === "TEXTAREA" || target.tagName === "SELECT") return true;
  return target.tagName === "INPUT" && TYPED.has(target.type);
}

/* The key's letter or digit, also on a keyboard that writes other letters, or digits only with Shift. */
function nameOf(event) {
  if (/^[a-z]$/i.test(event.key)) return event.key.toLowerCase();
  if (/^[\x21-\x7e]$/.test(event.key) && !/^Digit\d$/.test(event.code)) return event.key;
  const placed = /^(?:Key([A-Z])|(?:Digit|Numpad)(\d))$/.exec(event.code);
  if (event.key === "?") return "?";
  if (placed) return (placed[1] ?? placed[2]).toLowerCase();
  return event.key;
}
