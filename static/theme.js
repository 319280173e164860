// Sets light or dark before the page is painted. Loaded first and not deferred, so that nothing flashes.
(function () {
  const root = document.documentElement;
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  function apply() {
    const chosen = root.dataset.appearance;
    root.dataset.bsTheme = chosen === "light" || chosen === "dark" ? chosen : dark.matches ? "dark" : "light";
  }
  apply();
  dark.addEventListener("change", apply);
  document.addEventListener("wisp:theme", apply);
})();
