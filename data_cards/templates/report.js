"use strict";
(() => {
  const buttons = [...document.querySelectorAll(".filters button")];
  const box = document.getElementById("passages-box");
  const passages = [...box.querySelectorAll(".passage")];
  const shown = document.getElementById("shown");
  const show = (wanted) => {
    let visible = 0;
    for (const passage of passages) {
      const marks = [...passage.querySelectorAll("mark")];
      let holds = wanted === "";
      for (const mark of marks) {
        const on = mark.dataset.type === wanted;
        mark.classList.toggle("on", on);
        holds = holds || on;
      }
      passage.hidden = !holds;
      visible += holds ? 1 : 0;
    }
    box.classList.toggle("one", wanted !== "");
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.type === wanted));
    shown.textContent = visible + " of " + passages.length + " passages are shown.";
  };
  for (const button of buttons) {
    button.addEventListener("click", () => show(button.getAttribute("aria-pressed") === "true" ? "" : button.dataset.type));
  }
  if (buttons.length) {
    document.querySelector(".filters").hidden = false;
    show("");
  }
})();
