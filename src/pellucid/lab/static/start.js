// @ts-check
/** Where a part of the page does not arrive, as when the server is crowded, all is asked for once more. */

addEventListener("error", ({ target }) => {
  if (target instanceof HTMLScriptElement || target instanceof HTMLLinkElement) setTimeout(() => location.reload(), 1000);
}, true);
