// What the pages need beyond htmx and Tabler. Listeners are delegated on the document, so that they hold for
// content that is swapped in later. No inline script exists anywhere.
(function () {
  "use strict";
  const dialog = document.getElementById("dialog");
  const dialogBody = document.getElementById("dialog-body");
  const confirmDialog = document.getElementById("confirm");
  const toasts = document.getElementById("toasts");
  let opener = null;

  // --- the order of a list outlives a search ---------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a.wisp-sort");
    if (link) {
      const sort = new URL(link.href).searchParams.get("sort");
      document.querySelectorAll("form.wisp-filters input[name=sort]").forEach((field) => {
        field.value = sort || "";
        field.disabled = !sort;
      });
    }
  });

  // --- tab strips show the tab that one is on --------------------------------------------------------------------
  document.querySelectorAll(".nav-tabs .active, .wisp-panels [aria-current]").forEach((tab) => {
    tab.scrollIntoView({ block: "nearest", inline: "center" });
  });

  // --- dialog -------------------------------------------------------------------------------------------------
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail.ctx && event.detail.ctx.target;
    if (dialog && target && dialog.contains(target) && dialogBody.childElementCount && !dialog.open) {
      // the button that asked is disabled while it waits, and so has lost the focus: it gets it back when this closes
      const source = event.detail.ctx.sourceElement;
      opener = source && source.matches("form") ? source.querySelector("button:not([type=hidden])") : source;
      dialog.showModal();
    }
  });
  document.addEventListener("dialog:close", () => dialog && dialog.close());
  if (dialog) {
    dialog.addEventListener("close", () => {
      dialogBody.replaceChildren();
      const row = opener && opener.closest("[id]");
      const again = opener && opener.isConnected ? opener : row && document.querySelector(`#${CSS.escape(row.id)} button`);
      if (again) {
        again.focus();
      }
    });
  }
  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-dialog-close]");
    if (closer) {
      const owner = closer.closest("dialog");
      if (owner) {
        event.preventDefault(); // outside a dialog it is an ordinary link back
        owner.close();
      }
    }
    if (event.target === dialog && !dialog.querySelector("form")) {
      dialog.close(); // a click beside it; not where typed text would be lost
    }
  });

  // --- confirmation -------------------------------------------------------------------------------------------
  function ask(question, element, yes, no) {
    const data = element ? element.dataset : {};
    const button = confirmDialog.querySelector("[data-confirm-yes]");
    confirmDialog.querySelector("[data-confirm-text]").textContent = question;
    button.textContent = data.confirmLabel || button.dataset.label;
    button.className = "btn " + (data.confirmKind === "danger" ? "btn-danger" : "btn-primary");
    confirmDialog.returnValue = "";
    confirmDialog.showModal();
    confirmDialog.addEventListener(
      "close", () => (confirmDialog.returnValue === "yes" ? yes() : no()), { once: true }
    );
  }
  document.addEventListener("htmx:confirm", (event) => {
    if (!confirmDialog) {
      return;
    }
    event.preventDefault();
    const { ctx, issueRequest, dropRequest } = event.detail;
    ask(ctx.confirm, ctx.sourceElement, issueRequest, dropRequest);
  });
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (!confirmDialog || !form.dataset.confirm || form.dataset.confirmed) {
      return;
    }
    event.preventDefault();
    const submitter = event.submitter;
    ask(form.dataset.confirm, form, () => {
      form.dataset.confirmed = "yes";
      form.requestSubmit(submitter);
      delete form.dataset.confirmed;
    }, () => {});
  });

  // --- two clicks ---------------------------------------------------------------------------------------------
  // Of two clicks the browser would drop the first answer and show the second, which may say "is there already".
  const sent = new WeakMap();
  document.addEventListener("submit", (event) => {
    const form = event.target;
    if (event.defaultPrevented || form.method !== "post" || (event.submitter && event.submitter.formTarget)) {
      return;
    }
    const now = Date.now();
    const last = sent.get(form);
    if (last && last.by === event.submitter && now - last.at < 2000) {
      event.preventDefault();
      return;
    }
    sent.set(form, { by: event.submitter, at: now });
  });

  // --- toasts -------------------------------------------------------------------------------------------------
  function toast(text, kind) {
    if (!toasts || !text) {
      return;
    }
    const model = document.getElementById("toast-" + (kind || "success")) || document.getElementById("toast-info");
    const shown = model.content.firstElementChild.cloneNode(true);
    shown.querySelector("[data-toast-text]").textContent = text;
    toasts.append(shown);
    arm(shown);
  }
  function arm(shown) {
    // what went wrong stays until it is read; the rest leaves by itself, but not under the pointer
    if (shown.dataset.kind === "danger" || shown.dataset.kind === "warning") {
      return;
    }
    const leave = () => (shown.matches(":hover, :focus-within") ? setTimeout(leave, 2000) : shown.remove());
    setTimeout(leave, 6000);
  }
  if (toasts) {
    toasts.querySelectorAll(".toast").forEach(arm);
  }
  document.addEventListener("toast", (event) => {
    const detail = event.detail || {};
    (detail.messages || [detail]).forEach((message) => toast(message.text, message.kind));
  });
  document.addEventListener("click", (event) => {
    const closer = event.target.closest("[data-toast-close]");
    if (closer) {
      closer.closest(".toast").remove();
    }
  });
  let offline = false;
  document.addEventListener("htmx:error", (event) => {
    if (!offline && event.detail.ctx) {
      offline = true; // one message however many polls fail
      toast(document.body.dataset.offline, "danger");
    }
  });
  document.addEventListener("htmx:after:request", () => { offline = false; });
  document.addEventListener("htmx:response:error", (event) => {
    const response = event.detail.ctx.response;
    if (response.status >= 500 && !response.headers.get("HX-Trigger")) {
      toast(document.body.dataset.failed, "danger");
    }
  });

  // --- forms and lists ----------------------------------------------------------------------------------------
  document.addEventListener("change", (event) => {
    const field = event.target;
    const all = field.closest("[data-select-all]");
    if (all) {
      const area = document.querySelector(all.dataset.selectAll) || document;
      area.querySelectorAll("input[type=checkbox][data-select]").forEach((box) => { box.checked = all.checked; });
    }
    if (all || field.matches("[data-select]")) {
      count();
    }
    const form = field.closest("form[data-auto-submit]");
    if (form && field.type !== "search") {
      form.requestSubmit();
    }
    if (field.dataset.shows !== undefined) {
      reveal(field.form || document);
    }
  });
  function count() {
    const chosen = document.querySelectorAll("input[data-select]:checked").length;
    document.querySelectorAll("[data-selected-count]").forEach((place) => { place.textContent = chosen; });
    document.querySelectorAll("[data-needs-selection]").forEach((button) => { button.disabled = chosen === 0; });
  }
  // <div data-shown-by="field-name" data-shown-for="a b"> is shown while that field has one of the values
  function reveal(root) {
    root.querySelectorAll("[data-shown-by]").forEach((part) => {
      const fields = root.querySelectorAll(`[name="${CSS.escape(part.dataset.shownBy)}"]`);
      const values = [...fields].filter((f) => (f.type !== "radio" && f.type !== "checkbox") || f.checked)
        .map((f) => f.value);
      part.hidden = !part.dataset.shownFor.split(" ").some((value) => values.includes(value));
    });
  }
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail.ctx && event.detail.ctx.target;
    reveal(target && target.isConnected ? target : document);
    count();
  });
  reveal(document);
  count();
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-show-password]");
    if (button) {
      const field = document.getElementById(button.dataset.showPassword);
      const shown = field.type === "text";
      field.type = shown ? "password" : "text";
      button.setAttribute("aria-pressed", String(!shown));
    }
  });

  // --- appearance ---------------------------------------------------------------------------------------------
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-set-theme]");
    if (button) {
      const theme = button.dataset.setTheme;
      document.documentElement.dataset.appearance = theme;
      const secure = location.protocol === 'https:' ? ';secure' : '';
      document.cookie = `wisp_theme=${theme};path=/;max-age=31536000;samesite=lax${secure}`;
      document.dispatchEvent(new Event("wisp:theme"));
      document.querySelectorAll("[data-set-theme]").forEach((other) => {
        other.setAttribute("aria-pressed", String(other === button));
      });
    }
  });

  // --- after an invalid form the first wrong field has the focus ------------------------------------------------
  document.addEventListener("htmx:after:swap", (event) => {
    const target = event.detail.ctx && event.detail.ctx.target;
    const wrong = (target && target.isConnected ? target : document).querySelector("[aria-invalid=true]");
    if (wrong) {
      wrong.focus();
    }
  });
  const wrong = document.querySelector("main [aria-invalid=true]");
  if (wrong) {
    wrong.focus();
  }
})();
