// Runs before MLflow's own script. MLflow keeps a user's choices under these names; one that was made stays.
"use strict";
(() => {
  const defaults = {
    "mlflow.workflowType_v1": '"machine_learning"', // model training, rather than GenAI
    "_mlflow_model_registry_promo_modal_dismissed_v1": "true",
    "_mlflow_user_setting_dismiss_next_model_registry_ui": "true", // the pages of models that show stages
    "mlflow.assistant.fab.autoOpenedOnFirstLoad_v1": "true", // the assistant is not hosted
    "mlflow.home.getting-started.collapsed_v1": "true", // it leads to parts that are not hosted
    "mlflow.settings.telemetry.enabled_v1": "false",
    "mlflow.telemetry.info.alert.dismissed_v1": "true",
  };
  for (const [name, value] of Object.entries(defaults)) {
    if (localStorage.getItem(name) === null) localStorage.setItem(name, value);
  }

  // MLflow knows neither environments nor sessions: one line below its page says where one is, and leads away.
  const prefix = new URL("..", document.currentScript.src).pathname;
  const environment = /^environments\/([^/]+)\//.exec(location.pathname.slice(prefix.length));
  const bar = document.createElement("form");
  bar.id = "model-registry-bar";
  bar.method = "post";
  bar.action = prefix + "logout";
  const place = document.createElement("a");
  place.href = prefix + "environments/";
  place.textContent = environment ? "Environment: " + decodeURIComponent(environment[1]) : "The whole registry";
  const leave = document.createElement("button");
  leave.textContent = "Sign out";
  bar.append(place, leave);
  document.addEventListener("DOMContentLoaded", () => document.body.append(bar));
})();
